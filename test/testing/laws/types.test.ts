import * as Schema from "effect/Schema"
import { Laws } from "evolvent/testing"
import * as fc from "fast-check"
import { describe, expectTypeOf, it } from "vitest"
import { application } from "../../domains/courses/application.ts"
import { Seat, subscribe } from "../../domains/courses/deciders.ts"

describe("the types of the laws", () => {
  it("commands come from a schema or an arbitrary of the decider's command", () => {
    Laws.commands(subscribe, Seat)
    Laws.commands(subscribe, fc.record({ courseId: fc.string(), studentId: fc.string() }))
    // @ts-expect-error a field of the command is missing
    const schema = () => Laws.commands(subscribe, Schema.Struct({ courseId: Schema.String }))
    // @ts-expect-error another type of field
    const arbitrary = () => Laws.commands(subscribe, fc.record({ courseId: fc.nat(), studentId: fc.string() }))
    void [schema, arbitrary]
  })

  it("invariants see the events of all deciders, by their types", () => {
    const judge = () =>
      Laws.invariants({
        commands: application(),
        invariants: {
          known: (log) => {
            for (const event of log) {
              expectTypeOf(event.sequenceNumber).toEqualTypeOf<number>()
              expectTypeOf(event.eventType).toEqualTypeOf<
                "CourseDefined" | "CapacityChanged" | "StudentSubscribed" | "StudentUnsubscribed"
              >()
              if (event.eventType === "CourseDefined") expectTypeOf(event.payload.capacity).toEqualTypeOf<number>()
              // @ts-expect-error not every event has it
              void event.payload.studentId
            }
            return true
          }
        }
      })
    void judge
  })

  it("an oracle gets the command of the decider and decides by its events", () => {
    const judge = () =>
      Laws.sufficiency({
        decider: subscribe,
        commands: application(),
        oracle: (command, log) => {
          expectTypeOf(command).toEqualTypeOf<Seat>()
          return log.length > 0
        }
      })
    // @ts-expect-error an oracle decides
    const undecided = () => Laws.sufficiency({ decider: subscribe, commands: application(), oracle: () => "yes" })
    void [judge, undecided]
  })
})
