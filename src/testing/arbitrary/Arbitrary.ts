/**
 * `Arbitrary`: fast-check arbitraries from the Schemas of commands and of event catalogs. They are built by the structure of
 * the Schema, so that they shrink as fast-check's own do.
 *
 * By default the values are few: three strings, small numbers. Commands that are generated one after another are then about
 * the same things, which is where decisions go wrong.
 */
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as fc from "fast-check"
import type * as EventCatalog from "../../decider/EventCatalog.ts"
import { fromAst } from "./fromAst.ts"

/** How values are chosen. */
export interface Options {
  /**
   * `few`: values that meet again, for commands. `many`: values from all over what the schema allows, for codecs. Default:
   * `few`.
   */
  readonly values?: "few" | "many"
}

/** Where values come from: a Schema, or a fast-check arbitrary. */
export type Source<A> = fc.Arbitrary<A> | { readonly ast: SchemaAST.AST; readonly Type: A }

/**
 * Values of the decoded side of a schema. Throws where the schema has no counterpart and Effect derives nothing from it
 * either: then an arbitrary has to be written.
 */
export const of = <S extends Schema.Constraint>(schema: S, options: Options = {}): fc.Arbitrary<S["Type"]> =>
  fromAst(schema.ast, options.values ?? "few")

/** The arbitrary itself, or the one of the schema. */
export const from = <A>(source: Source<A>, options: Options = {}): fc.Arbitrary<A> =>
  Schema.isSchema(source) ? (of(source, options) as fc.Arbitrary<A>) : (source as fc.Arbitrary<A>)

/** Events of all types of a catalog, or of some. They are invented: see `History` for logs that can come about. */
export const events = <C extends EventCatalog.Any>(
  catalog: C,
  options: Options & { readonly types?: ReadonlyArray<EventCatalog.EventType<C>> } = {}
): fc.Arbitrary<EventCatalog.Event<C>> =>
  fc.oneof(
    { withCrossShrink: true },
    ...(options.types ?? catalog.eventTypes).map((eventType) =>
      fc.record(
        { eventType: fc.constant(eventType), payload: of(catalog.definitions[eventType]!.schema, options) },
        { noNullPrototype: true }
      )
    )
  ) as fc.Arbitrary<any>
