/** The deciders of course subscriptions: a course has so many seats, and a student five courses at most, each once. */
import { Decider, View } from "evolvent"
import * as Schema from "effect/Schema"
import { CourseEvents, SubscriptionEvents } from "./events.ts"
import { capacityOf, coursesOf, seatsTaken } from "./views.ts"

export const mostCourses = 5

export const Capacity = Schema.Struct({
  courseId: Schema.NonEmptyString,
  capacity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
})
export type Capacity = typeof Capacity.Type

export const Seat = Schema.Struct({ courseId: Schema.NonEmptyString, studentId: Schema.NonEmptyString })
export type Seat = typeof Seat.Type

export class AlreadyDefined extends Schema.TaggedError<AlreadyDefined>()("AlreadyDefined", {}) {}
export class UnknownCourse extends Schema.TaggedError<UnknownCourse>()("UnknownCourse", {}) {}
export class TooFewSeats extends Schema.TaggedError<TooFewSeats>()("TooFewSeats", {}) {}
export class CourseFull extends Schema.TaggedError<CourseFull>()("CourseFull", {}) {}
export class TooManyCourses extends Schema.TaggedError<TooManyCourses>()("TooManyCourses", {}) {}

export const defineCourse = Decider.make({
  name: "DefineCourse",
  events: CourseEvents,
  context: ({ courseId }: Capacity) => CourseEvents.query("CourseDefined", undefined, { tags: [`course:${courseId}`] }),
  initial: false,
  evolve: { CourseDefined: () => true },
  decide: (command, isDefined) =>
    isDefined ? Decider.reject(new AlreadyDefined()) : Decider.accept(CourseEvents.CourseDefined(command))
})

export const changeCapacity = Decider.make({
  name: "ChangeCapacity",
  events: CourseEvents,
  view: ({ courseId }: Capacity) => View.struct({ capacity: capacityOf(courseId), taken: seatsTaken(courseId) }),
  decide: (command, { capacity, taken }) => {
    if (capacity === undefined) return Decider.reject(new UnknownCourse())
    if (capacity === command.capacity) return Decider.nothing
    if (command.capacity < taken) return Decider.reject(new TooFewSeats())
    return Decider.accept(CourseEvents.CapacityChanged(command))
  }
})

export interface SubscribeState {
  readonly capacity: number | undefined
  readonly taken: number
  readonly courses: ReadonlyArray<string>
}

export const decideSubscribe = (command: Seat, { capacity, courses, taken }: SubscribeState) => {
  if (capacity === undefined) return Decider.reject(new UnknownCourse())
  if (courses.includes(command.courseId)) return Decider.nothing
  if (taken >= capacity) return Decider.reject(new CourseFull())
  if (courses.length >= mostCourses) return Decider.reject(new TooManyCourses())
  return Decider.accept(SubscriptionEvents.StudentSubscribed(command))
}

export const subscribe = Decider.make({
  name: "Subscribe",
  events: SubscriptionEvents,
  view: ({ courseId, studentId }: Seat) =>
    View.struct({ capacity: capacityOf(courseId), taken: seatsTaken(courseId), courses: coursesOf(studentId) }),
  decide: decideSubscribe
})

export const unsubscribe = Decider.make({
  name: "Unsubscribe",
  events: SubscriptionEvents,
  view: ({ studentId }: Seat) => coursesOf(studentId),
  decide: (command, courses) =>
    courses.includes(command.courseId)
      ? Decider.accept(SubscriptionEvents.StudentUnsubscribed(command))
      : Decider.nothing
})
