/**
 * Encoding and decoding payloads by code that Effect generates for their schemas, four times as fast as its interpreter. The
 * interpreter goes on where a runtime refuses code made from text, and says what is wrong where a payload does not fit.
 *
 * Effect does not call its compiler stable: nothing else imports `effect/schema/SchemaJITCompiler`.
 */
import type * as Exit from "effect/Exit"
import * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaParser from "effect/SchemaParser"
import type { PayloadSchema } from "../EventDefinition.ts"

/** The two directions of a schema. */
export interface PayloadCodec {
  readonly encode: (payload: unknown) => Exit.Exit<unknown, SchemaIssue.Issue>
  readonly decode: (payload: unknown) => Exit.Exit<unknown, SchemaIssue.Issue>
}

/** The codec of a schema. Code is generated when a direction is first used. */
export const payloadCodec = (schema: PayloadSchema): PayloadCodec => {
  SchemaJITCompiler.enable(schema.ast)
  SchemaJITCompiler.enable(SchemaAST.flip(schema.ast))
  return { encode: SchemaParser.encodeUnknownExit(schema), decode: SchemaParser.decodeUnknownExit(schema) }
}
