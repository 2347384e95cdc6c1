/**
 * Where in a payload a schema first failed, in terms of the schema alone. Names of declared properties and indexes are
 * kept; keys that no schema declares are data, which may be personal, and show as `*`.
 */
import type * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"

/** The path of the first failing property, for example `lines[2].price`; `undefined` for the value as a whole. */
export const issuePath = (issue: SchemaIssue.Issue): string | undefined => {
  const path = walk(issue, undefined)
  return path === "" ? undefined : path.startsWith(".") ? path.slice(1) : path
}

const walk = (issue: SchemaIssue.Issue, ast: SchemaAST.AST | undefined): string => {
  switch (issue._tag) {
    case "Composite":
      return walk(issue.issues[0], issue.ast)
    case "Filter":
      return walk(issue.issue, ast)
    case "Encoding":
      return walk(issue.issue, issue.ast)
    case "AnyOf":
      return issue.issues.length === 1 ? walk(issue.issues[0]!, issue.ast) : ""
    case "Pointer": {
      let path = ""
      let current = ast
      for (const key of issue.path) {
        path += step(key, current)
        current = typeOf(key, current)
      }
      return path + walk(issue.issue, current)
    }
    default:
      return ""
  }
}

const step = (key: PropertyKey, ast: SchemaAST.AST | undefined): string => {
  if (typeof key === "number") return `[${key}]`
  if (typeof key === "symbol" || declared(key, ast) === undefined) return ".*"
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

const declared = (key: PropertyKey, ast: SchemaAST.AST | undefined): SchemaAST.PropertySignature | undefined =>
  ast?._tag === "Objects" ? ast.propertySignatures.find((property) => property.name === key) : undefined

const typeOf = (key: PropertyKey, ast: SchemaAST.AST | undefined): SchemaAST.AST | undefined =>
  ast?._tag === "Arrays" && typeof key === "number" ? (ast.elements[key] ?? ast.rest[0]) : declared(key, ast)?.type
