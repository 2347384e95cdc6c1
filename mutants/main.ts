/** Tries the conformance suite on the mutants: `npm run mutants -- [--json] [NAME ...]`. Exits with 1 when one survives. */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import { conformance, Mutants } from "evolvent/testing"
import { jsonReport, textReport } from "./report.ts"

const usage = `npm run mutants -- [--json] ["NAME OF A MUTANT" ...]`

const chosen = (names: ReadonlyArray<string>): ReadonlyArray<Mutants.Mutant> => {
  const unknown = names.filter((name) => Mutants.all.every((mutant) => mutant.name !== name))
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(", ")}`)
  return names.length === 0 ? Mutants.all : Mutants.all.filter(({ name }) => names.includes(name))
}

const parse = () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean", default: false } }
  })
  return { json: values.json, mutants: chosen(positionals) }
}

const parseOrComplain = () => {
  try {
    return parse()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}

const options = parseOrComplain()
if (options !== undefined) {
  const report = options.json ? jsonReport() : textReport()
  const program = Effect.gen(function* () {
    report.original(yield* Mutants.failuresOf(Mutants.original, conformance))
    for (const mutant of options.mutants) report.trial(yield* Mutants.attempt(mutant))
    if (!report.end()) process.exitCode = 1
  })
  await Effect.runPromise(program)
}
