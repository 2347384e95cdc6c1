/**
 * Opens the store in FILE when told to go and appends events of type TYPE one after the other, COUNT of them or, for 0, until
 * an append fails; under the idempotency keys `KEY 0`, `KEY 1` and so on where a KEY is given. Prints `ready`, the number of
 * each append that was answered, and at last `done` or the failure's reason.
 */
import { SqliteStore } from "evolvent/sqlite"
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"

const [file, type, count, bytes, key] = process.argv.slice(2)
const most = Number(count) || Number.POSITIVE_INFINITY

const program = Effect.gen(function* () {
  const store = yield* SqliteStore.make({ file })
  const payload = { text: "x".repeat(Number(bytes)) }
  for (let appended = 0; appended < most; appended++) {
    const { lastSequenceNumber } = yield* store.append([{ eventType: type, payload }], {
      idempotencyKey: key && `${key} ${appended}`
    })
    console.log(lastSequenceNumber)
  }
  return "done"
}).pipe(
  Effect.catchTag("EventStoreError", ({ reason }) => Effect.succeed(reason._tag)),
  Effect.scoped
)

const input = createInterface({ input: process.stdin })
input.once("line", () => {
  input.close()
  void Effect.runPromise(program).then((end) => console.log(end))
})
console.log("ready")
