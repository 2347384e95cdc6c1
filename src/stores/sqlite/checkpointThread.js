// @ts-check
/**
 * The thread that carries what was committed from the write-ahead log into the database file: one passive checkpoint a message. It has
 * a connection of its own, made by the very driver of the store: SQLite's locks hold between threads within one copy of the library
 * only.
 *
 * In JavaScript, for a thread is started from a file, by the sources as by what is built from them.
 */
import { createRequire } from "node:module"
import { parentPort, workerData } from "node:worker_threads"

/** @type {{ readonly driver: string, readonly file: string }} */
const { driver, file } = workerData
/** @type {typeof import("better-sqlite3")} */
const Database = createRequire(driver)(driver)
const database = new Database(file, { fileMustExist: true })
database.pragma("synchronous = NORMAL")
const checkpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)").raw(true)

// What fails ends the thread: commits do checkpoints themselves then, and tell what is wrong with the file.
parentPort?.on("message", () => {
  checkpoint.get()
  parentPort?.postMessage(undefined)
})
