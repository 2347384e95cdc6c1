/**
 * Programs that tests run as processes of their own: compiled once, whichever test file comes first. A lock in the
 * database's own manner keeps two test files from compiling at once; it is gone with the process that holds it.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import Database from "better-sqlite3"

/** The project's folder: where such programs run. */
export const root = resolve(import.meta.dirname, "../..")

/** Compiles the library to `dist` and the examples to `build`, where that has not been done. */
export const compilePrograms = (): void => {
  mkdirSync(join(root, "build"), { recursive: true })
  const lock = new Database(join(root, "build", "compiling.sqlite"), { timeout: 60_000 })
  try {
    lock.exec("BEGIN EXCLUSIVE")
    execFileSync("npm", ["run", "--silent", "programs"], { cwd: root, stdio: ["ignore", "ignore", "pipe"] })
  } finally {
    lock.close()
  }
}
