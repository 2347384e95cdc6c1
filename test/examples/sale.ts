/** Runs the ticket sale as the program that it is. */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { expect } from "vitest"
import type { RaceResult } from "../../examples/tickets/race.ts"
import { root } from "../support/compiled.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly process: ChildProcess
  /** Resolves with its end and that of all processes that write to its stderr: those that it has started. */
  readonly ended: Promise<Ended>
}

export type Environment = Readonly<Record<string, string>>

/** Starts the program, compiled before, as the leader of a process group of its own. */
export const startSale = (environment: Environment, ...flags: ReadonlyArray<string>): Running => {
  const child = spawn(process.execPath, [join(root, "build/examples/tickets/main.js"), ...flags], {
    cwd: root,
    detached: true,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000
  })
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, stdout, stderr }))
  })
  return { process: child, ended }
}

export type SaleResult = RaceResult & { readonly store: string; readonly processes: number }

/** The one line that `--json` prints. */
export const resultOf = ({ code, stderr, stdout }: Ended): SaleResult => {
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  expect(stdout.trimEnd().split("\n").length).toBe(1)
  return JSON.parse(stdout) as SaleResult
}
