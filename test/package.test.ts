/**
 * What the package promises about its own modules: the root entry loads no driver and no test tool, imports point one way, and
 * `internal` folders are private. Read from the source text; type imports and dynamic imports count like all others.
 */
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "..")

/** Prettier keeps import and export declarations at the start of a line, which the examples in doc comments never are. */
const declaration =
  /^(?:import|export)\s+(?:type\s+)?(?:(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?)\s+from\s+)?"([^"]+)"/gm
const dynamic = /^(?!\s*(?:\/?\*|\/\/)).*?\bimport\(\s*"([^"]+)"/gm

const specifiersOf = (source: string): ReadonlyArray<string> =>
  [declaration, dynamic].flatMap((pattern) => Array.from(source.matchAll(pattern), (match) => match[1] ?? ""))

interface Module {
  /** Relative to the project, with forward slashes: `src/decider/Decider.ts`. */
  readonly file: string
  readonly files: ReadonlyArray<string>
  readonly packages: ReadonlyArray<string>
}

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

const read = (file: string): Module => {
  const specifiers = specifiersOf(readFileSync(path.join(root, file), "utf8"))
  return {
    file,
    files: specifiers
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => path.posix.join(path.posix.dirname(file), specifier)),
    packages: specifiers.filter((specifier) => !specifier.startsWith(".")).map(packageOf)
  }
}

const modules: ReadonlyMap<string, Module> = new Map(
  readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `src/${name.replaceAll(path.sep, "/")}`)
    .map((file) => [file, read(file)])
)

const imports = Array.from(modules.values()).flatMap((module) => module.files.map((to) => ({ from: module.file, to })))

const reachableFrom = (entry: string): ReadonlyArray<Module> => {
  const seen = new Map<string, Module>()
  const waiting = [entry]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue
    const module = modules.get(file)
    if (module === undefined) throw new Error(`${file} is imported but does not exist`)
    seen.set(file, module)
    waiting.push(...module.files)
  }
  return Array.from(seen.values())
}

/** `src/decider/View.ts` -> `decider`; the entry files directly in `src` -> `entry`. */
const areaOf = (file: string): string => {
  const parts = file.split("/")
  return parts.length > 2 ? (parts[1] ?? "") : "entry"
}

/** The contract's vocabulary (queries, records, limits) is open to deciders; the store itself is not, nor any store's folder. */
const isStore = (file: string): boolean =>
  file.startsWith("src/stores/") && !/^src\/stores\/(?!EventStore\.ts)\w+\.ts$/.test(file)

const mayImport: Readonly<Record<string, ReadonlyArray<string>>> = {
  decider: ["decider", "stores"],
  stores: ["stores"],
  dispatch: ["dispatch", "decider", "stores"],
  projections: ["projections", "decider", "stores", "dispatch"],
  testing: ["testing", "decider", "stores", "dispatch", "projections", "entry"],
  cli: ["cli", "decider", "stores", "dispatch", "projections", "entry"],
  entry: ["entry", "decider", "stores", "dispatch", "projections"]
}

/** A mutant is a store with a mistake in it, so it is made of the parts of the stores. */
const isMutantOfAStore = ({ from, to }: { readonly from: string; readonly to: string }): boolean =>
  from.startsWith("src/testing/mutants/") && to.startsWith("src/stores/internal/")

const describeImport = ({ from, to }: { readonly from: string; readonly to: string }): string => `${from} -> ${to}`

describe("the modules of the package", () => {
  it("are found by their imports, in every form the sources use", () => {
    const source = [
      `import * as Effect from "a"`,
      `import type { A } from "./b.ts"`,
      `import c, { d } from "c"`,
      `import "d"`,
      `export * from "./e.ts"`,
      `export * as F from "f"`,
      `export {\n  g,\n  type G\n} from "g"`,
      `const h = () => import("h")`,
      ` * import { x } from "a doc comment"`,
      ` * const x = await import("a doc comment")`,
      `export const y = "no import"`
    ].join("\n")
    expect(specifiersOf(source)).toEqual(["a", "./b.ts", "c", "d", "./e.ts", "f", "g", "h"])
  })

  it.each(["better-sqlite3", "pg", "fast-check", "vitest"])("do not reach %s from the root entry", (name) => {
    const graph = reachableFrom("src/index.ts")
    expect(graph.filter((module) => module.packages.includes(name)).map((module) => module.file)).toEqual([])
  })

  it("reach no test runner from the testing entry", () => {
    const outside = new Set(reachableFrom("src/testing/index.ts").flatMap((module) => module.packages))
    expect(
      Array.from(outside)
        .filter((name) => !name.startsWith("node:"))
        .toSorted()
    ).toEqual(["effect", "fast-check"])
    expect(outside).not.toContain("node:test")
  })

  it("import one way: stores no decider, nothing testing or cli", () => {
    const wrong = imports.filter(({ from, to }) => !mayImport[areaOf(from)]?.includes(areaOf(to)))
    expect(wrong.map(describeImport)).toEqual([])
  })

  it("import no store in a decider", () => {
    const wrong = imports.filter(({ from, to }) => areaOf(from) === "decider" && isStore(to))
    expect(wrong.map(describeImport)).toEqual([])
  })

  it("import an internal folder only from inside the folder that owns it, mutants aside", () => {
    const wrong = imports.filter(({ from, to }) => {
      const internal = to.lastIndexOf("/internal/")
      return internal >= 0 && !from.startsWith(to.slice(0, internal + 1)) && !isMutantOfAStore({ from, to })
    })
    expect(wrong.map(describeImport)).toEqual([])
  })
})
