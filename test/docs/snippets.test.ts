/**
 * Every `ts` block of README.md and docs is a module: type-checked with the project's own options (one compiler run for all) and
 * executed. A block marked "ts continued" goes on with the module of the block before it on its page. The modules lie in
 * `.snippets`, padded so that a line number there is the line number on the page; each runs in an empty working folder. Where
 * it uses PostgreSQL, DATABASE_URL names an empty database of its own.
 */
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ownDatabase } from "../support/postgres.ts"

const root = path.resolve(import.meta.dirname, "../..")
const folder = path.join(root, ".snippets")
const compiler = path.join(root, "node_modules/typescript/bin/tsc")

interface Snippet {
  readonly page: string
  readonly heading: string
  readonly line: number
  readonly lines: Array<string>
}

const pages = (): ReadonlyArray<string> => {
  const docs = path.join(root, "docs")
  const inDocs = existsSync(docs) ? readdirSync(docs, { recursive: true, encoding: "utf8" }) : []
  return ["README.md", ...inDocs.map((name) => `docs/${name.replaceAll(path.sep, "/")}`)]
    .filter((page) => page.endsWith(".md") && existsSync(path.join(root, page)))
    .toSorted()
}

/** The `ts` blocks of one page, each with the last heading above it and the line of its opening fence (from 1). */
const snippetsOf = (page: string, markdown: string): ReadonlyArray<Snippet> => {
  const snippets: Array<Snippet> = []
  let heading = ""
  let fence: { readonly end: RegExp; readonly indent: number; readonly snippet: Snippet | undefined } | undefined
  for (const [index, text] of markdown.split(/\r?\n/).entries()) {
    if (fence !== undefined) {
      if (fence.end.test(text)) fence = undefined
      else fence.snippet?.lines.push(text.slice(Math.min(fence.indent, text.length - text.trimStart().length)))
      continue
    }
    const [, title] = /^#{1,6}\s+(.+?)\s*#*$/.exec(text) ?? []
    heading = title ?? heading
    const [, indent, mark, language, info] = /^([\s>]*)(`{3,}|~{3,})\s*([^\s`]*)\s*(.*?)\s*$/.exec(text) ?? []
    if (indent === undefined || mark === undefined) continue
    const where = `${page}:${index + 1}`
    let snippet: Snippet | undefined
    if (language === "ts" || language === "typescript") {
      if (info !== "" && info !== "continued")
        throw new Error(`${where}: "ts ${info}" is not known, only "ts continued"`)
      if (indent.includes(">")) throw new Error(`${where}: a ts block inside a quotation is not checked`)
      if (info === "continued") {
        snippet = snippets.at(-1)
        if (snippet === undefined) throw new Error(`${where}: there is no block to continue`)
        snippet.lines.push(...Array<string>(index + 1 - snippet.line - snippet.lines.length).fill(""))
      } else {
        snippet = { page, heading, line: index + 1, lines: [] }
        snippets.push(snippet)
      }
    }
    fence = { end: new RegExp(`^\\s*${mark}${mark.charAt(0)}*\\s*$`), indent: indent.length, snippet }
  }
  if (fence?.snippet !== undefined) throw new Error(`${page}:${fence.snippet.line}: the block is never closed`)
  return snippets
}

/** Runs it while DATABASE_URL names an empty database, which is dropped afterwards. */
const withDatabaseUrl = (run: () => Promise<unknown>): Promise<unknown> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const { url } = yield* ownDatabase
        const before = process.env.DATABASE_URL
        yield* Effect.acquireRelease(
          Effect.sync(() => void (process.env.DATABASE_URL = url)),
          () =>
            Effect.sync(() => {
              if (before === undefined) delete process.env.DATABASE_URL
              else process.env.DATABASE_URL = before
            })
        )
        return yield* Effect.promise(run)
      })
    )
  )

const moduleName = ({ page, line }: Snippet): string => `${page.replaceAll("/", "-")}-${line}.ts`

const snippets = pages().flatMap((page) => snippetsOf(page, readFileSync(path.join(root, page), "utf8")))

describe("the ts blocks of README.md and docs", () => {
  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    for (const snippet of snippets) {
      writeFileSync(path.join(folder, moduleName(snippet)), "\n".repeat(snippet.line) + snippet.lines.join("\n") + "\n")
    }
    const project = { extends: "../tsconfig.json", files: snippets.map(moduleName), include: [] }
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(project))
  })

  afterAll(() => {
    process.chdir(root)
  })

  it("exist, in README.md and in docs", () => {
    expect(snippets.some(({ page }) => page === "README.md")).toBe(true)
    expect(snippets.some(({ page }) => page.startsWith("docs/"))).toBe(true)
  })

  it("have the right types", async () => {
    const output = await promisify(execFile)(process.execPath, [compiler, "-p", ".", "--pretty", "false"], {
      cwd: folder
    }).then(
      () => "",
      (error: { readonly stdout?: string; readonly message: string }) => error.stdout || error.message
    )
    expect(output).toBe("")
  })

  it.each(snippets.map((snippet) => [`${snippet.page}:${snippet.line} ${snippet.heading}`.trim(), snippet] as const))(
    "run: %s",
    async (_name, snippet) => {
      const module = path.join(folder, moduleName(snippet))
      const workingFolder = module.replace(/\.ts$/, "")
      mkdirSync(workingFolder)
      process.chdir(workingFolder)
      const run = () => import(/* @vite-ignore */ pathToFileURL(module).href)
      if (snippet.lines.some((line) => line.includes("DATABASE_URL"))) await withDatabaseUrl(run)
      else await run()
    }
  )
})
