/**
 * Checkpoints beside the event loop. SQLite carries the write-ahead log over into the database file, and flushes both, within the
 * commit that makes the log long enough. For a connection whose commits are not flushed that is the longest they take; here a thread
 * does it, and commits go on meanwhile. Where no thread can be had commits do it as ever, and where it does not keep up, seldom.
 *
 * Not for commits that are flushed one by one: they would wait for the thread's flushes as well.
 */
import Database from "better-sqlite3"
import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"

/** Pages that wait in the write-ahead log before they are carried over, 16 MiB: many of them are the same, and written once. */
const enough = 4_000

/** Pages from which a commit does it where there is no thread: SQLite's own measure. */
const alone = 1_000

/** Pages of the write-ahead log, carried over or not, from which a commit lends a hand, so that it begins anew: 64 MiB. */
const longest = 16_000

/** The checkpoints of a connection. */
export class Checkpoints {
  private readonly database: Database.Database
  private readonly file: string
  private measure: Database.Statement | undefined
  private thread: Worker | undefined
  private state: "idle" | "busy" | "failed" | "left to commits" = "idle"

  constructor(database: Database.Database, file: string) {
    this.database = database
    this.file = file
    database.pragma(`wal_autocheckpoint = ${longest}`)
  }

  /** Asks for a checkpoint if it is time. To be called after each commit. */
  committed(): void {
    if (this.state === "failed") {
      this.database.pragma(`wal_autocheckpoint = ${alone}`)
      this.state = "left to commits"
    }
    if (this.state !== "idle") return
    this.measure ??= this.database.prepare("PRAGMA wal_checkpoint(NOOP)").raw(true)
    const [, pages, carriedOver] = this.measure.get() as [busy: number, pages: number, carriedOver: number]
    if (pages - carriedOver < enough) return
    this.thread ??= this.start()
    this.state = this.thread === undefined ? "failed" : "busy"
    this.thread?.postMessage(undefined)
  }

  /** Ends the thread, which finishes what it is at. */
  async end(): Promise<void> {
    await this.thread?.terminate()
  }

  /** `undefined` where the store's driver cannot be found by its name: the thread would have another copy. */
  private start(): Worker | undefined {
    const require = createRequire(import.meta.url)
    try {
      const driver = require.resolve("better-sqlite3")
      if (require(driver) !== Database) return undefined
      const thread = new Worker(new URL("./checkpointThread.js", import.meta.url), {
        name: "evolvent checkpoints",
        workerData: { driver, file: this.file },
        execArgv: []
      })
      thread.on("message", () => (this.state = "idle"))
      thread.on("error", () => (this.state = "failed"))
      thread.unref()
      return thread
    } catch {
      return undefined
    }
  }
}
