/** Runs the benchmarks: `npm run bench -- [stores|postgres|projections] [--json]`. */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import { benchPostgres } from "./postgres.ts"
import { benchProjections } from "./projections.ts"
import { jsonReport, tableReport } from "./report.ts"
import { benchStores } from "./stores.ts"

const suites = { stores: benchStores, postgres: benchPostgres, projections: benchProjections }

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false } }
})
const names = positionals.length === 0 ? Object.keys(suites) : positionals
const unknown = names.filter((name) => !Object.hasOwn(suites, name))
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(", ")}\nnpm run bench -- [${Object.keys(suites).join("|")}] [--json]`)
  process.exitCode = 2
} else {
  const report = values.json ? jsonReport : tableReport()
  for (const name of names) await Effect.runPromise(suites[name as keyof typeof suites](report))
}
