/**
 * The tables of a workspace in SQL that SQLite and PostgreSQL both understand; the few differences are in the dialect. All of
 * them come with the store's migrations.
 */
import * as Effect from "effect/Effect"
import type { EventStoreError } from "../../EventStoreError.ts"
import type { SqlValue } from "../../Transaction.ts"
import type {
  Claimed,
  CursorTable,
  DeadLetter,
  DeadLetterTable,
  Held,
  OutboxEntry,
  OutboxKey,
  OutboxTable,
  Tables,
  VersionTable
} from "../../WorkspaceTables.ts"

/** What differs between the databases. */
export interface SqlDialect {
  /** The quoted name of one of the store's tables. */
  readonly table: (name: "log" | TableDefinition["name"]) => string
  /** Milliseconds since the Unix epoch, by the database's clock. */
  readonly now: string
  /** The objects in a JSON array in a parameter, as a column `value` of `e`. */
  readonly objects: (parameter: string) => string
  /** The texts in a JSON array in a parameter, as a column `value` of `e`. */
  readonly texts: (parameter: string) => string
  /** Ends a SELECT of rows to change: leaves out those that somebody else is about to change. */
  readonly skipLocked: string
}

/** A table of the workspace. */
interface TableDefinition {
  readonly name: "cursors" | "dead_letters" | "outbox" | "projection_versions"
  /** Each with its type. */
  readonly columns: ReadonlyArray<string>
  readonly primaryKey: string
  readonly index?: { readonly name: string; readonly columns: string }
}

/** What the migrations create, with the database's own names for the types of whole numbers and of texts. */
export const workspaceTables = ({
  text,
  whole
}: {
  readonly whole: string
  readonly text: string
}): ReadonlyArray<TableDefinition> => [
  {
    name: "cursors",
    columns: [
      `cursor ${text} NOT NULL`,
      `query ${text} NOT NULL`,
      `log_id ${text} NOT NULL`,
      `position ${whole} NOT NULL`,
      `owner ${text} NOT NULL`,
      `epoch ${whole} NOT NULL`,
      `leased_until ${whole} NOT NULL`,
      `paused ${whole} NOT NULL`,
      `moved_at ${whole} NOT NULL`
    ],
    primaryKey: "cursor"
  },
  {
    name: "dead_letters",
    columns: [
      `cursor ${text} NOT NULL`,
      `sequence_number ${whole} NOT NULL`,
      `letter_key ${text} NOT NULL`,
      `failure ${text}`,
      `replaying ${whole} NOT NULL`,
      `parked_at ${whole} NOT NULL`
    ],
    primaryKey: "cursor, sequence_number"
  },
  {
    name: "outbox",
    columns: [
      `reactor ${text} NOT NULL`,
      `sequence_number ${whole} NOT NULL`,
      `place ${whole} NOT NULL`,
      `body ${text} NOT NULL`,
      `attempts ${whole} NOT NULL`,
      `failure ${text}`,
      `dead ${whole} NOT NULL`,
      `due_at ${whole} NOT NULL`
    ],
    primaryKey: "reactor, sequence_number, place",
    index: { name: "due", columns: "reactor, dead, due_at" }
  },
  {
    name: "projection_versions",
    columns: [`projection ${text} NOT NULL`, `active_version ${whole} NOT NULL`],
    primaryKey: "projection"
  }
]

type Row = Readonly<Record<string, unknown>>

/** Runs a statement of the store's own. */
export type Run = (
  sql: string,
  parameters: ReadonlyArray<SqlValue>
) => Effect.Effect<ReadonlyArray<Row>, EventStoreError>

/** The SQL is made once a store. */
export const sqlTables = (dialect: SqlDialect): ((run: Run) => Tables) => {
  const cursors = cursorSql(dialect)
  const deadLetters = deadLetterSql(dialect)
  const outbox = outboxSql(dialect)
  const versions = versionSql(dialect)
  return (run) => ({
    cursors: cursorTable(cursors, run),
    deadLetters: deadLetterTable(deadLetters, run),
    outbox: outboxTable(outbox, run),
    versions: versionTable(versions, run)
  })
}

const cursorSql = ({ now, table, texts }: SqlDialect) => {
  const cursors = table("cursors")
  const moved = (where: string) => `
UPDATE ${cursors} SET
  moved_at = CASE WHEN position < $3 THEN ${now} ELSE moved_at END,
  position = CASE WHEN position < $3 THEN $3 ELSE position END,
  leased_until = CASE WHEN $4 = 0 THEN 0 ELSE ${now} + $4 END
WHERE cursor = $1 AND epoch = $2${where}
RETURNING position, paused`
  return {
    claim: `
INSERT INTO ${cursors} AS c (cursor, query, log_id, position, owner, epoch, leased_until, paused, moved_at)
SELECT $1, $2, CAST(l.log_id AS text), CAST($3 AS bigint), $4, 1, ${now} + CAST($5 AS bigint), 0, ${now}
FROM ${table("log")} AS l WHERE true
ON CONFLICT (cursor) DO UPDATE SET
  owner = excluded.owner, epoch = c.epoch + 1, leased_until = ${now} + CAST($5 AS bigint)
WHERE c.query = excluded.query AND c.log_id = excluded.log_id AND c.paused = 0
  AND (c.owner = excluded.owner OR c.leased_until <= ${now})
RETURNING position, epoch`,
    find: `
SELECT c.query, c.position, c.owner, c.paused, c.leased_until - ${now} AS left_ms,
  CASE WHEN c.log_id = CAST(l.log_id AS text) THEN 1 ELSE 0 END AS same_log
FROM ${cursors} AS c CROSS JOIN ${table("log")} AS l WHERE c.cursor = $1`,
    move: moved(" AND position < $3"),
    renew: moved(""),
    read: `
SELECT cursor, position, epoch, paused, moved_at, CASE WHEN leased_until > ${now} THEN 1 ELSE 0 END AS held
FROM ${cursors} WHERE cursor IN (SELECT e.value FROM ${texts("$1")})`,
    reset: `
UPDATE ${cursors} SET position = $2, epoch = epoch + 1, leased_until = 0, moved_at = ${now} WHERE cursor = $1`,
    ensure: `
INSERT INTO ${cursors} AS c (cursor, query, log_id, position, owner, epoch, leased_until, paused, moved_at)
SELECT $1, $2, CAST(l.log_id AS text), CAST($3 AS bigint), '', 0, 0, 0, ${now}
FROM ${table("log")} AS l WHERE true
ON CONFLICT (cursor) DO UPDATE SET paused = c.paused
RETURNING query`,
    setPaused: `UPDATE ${cursors} SET paused = $2 WHERE cursor = $1`,
    remove: `DELETE FROM ${cursors} WHERE cursor = $1`
  }
}

const cursorTable = (sql: ReturnType<typeof cursorSql>, run: Run): CursorTable => {
  const heldOf = ([row]: ReadonlyArray<Row>): Held | undefined =>
    row === undefined ? undefined : { position: Number(row["position"]), paused: Number(row["paused"]) === 1 }
  return {
    claim: ({ cursor, leaseMs, owner, query, start }) =>
      Effect.gen(function* () {
        // Looking costs those who hold it nothing; an attempt to write waits for the transaction that moves it.
        const [before] = yield* run(sql.find, [cursor])
        const refused = before === undefined ? undefined : whyNot(query, before)
        if (refused !== undefined && !isFree(refused, before!["owner"] === owner)) return refused
        const [held] = yield* run(sql.claim, [cursor, query, start, owner, leaseMs])
        if (held !== undefined) {
          return { _tag: "Held", position: Number(held["position"]), epoch: Number(held["epoch"]) } as const
        }
        const [found] = yield* run(sql.find, [cursor])
        return whyNot(query, found)
      }),
    move: (cursor, epoch, position, leaseMs) => Effect.map(run(sql.move, [cursor, epoch, position, leaseMs]), heldOf),
    renew: (cursor, epoch, position, leaseMs) => Effect.map(run(sql.renew, [cursor, epoch, position, leaseMs]), heldOf),
    release: (cursor, epoch, position) => Effect.asVoid(run(sql.renew, [cursor, epoch, position, 0])),
    read: (cursors) =>
      Effect.map(run(sql.read, [JSON.stringify(cursors)]), (rows) =>
        rows.map((row) => ({
          cursor: row["cursor"] as string,
          position: Number(row["position"]),
          epoch: Number(row["epoch"]),
          paused: Number(row["paused"]) === 1,
          held: Number(row["held"]) === 1,
          movedAt: Number(row["moved_at"])
        }))
      ),
    reset: (cursor, position) => Effect.asVoid(run(sql.reset, [cursor, position])),
    ensure: ({ cursor, query, start }) =>
      Effect.map(run(sql.ensure, [cursor, query, start]), ([row]) => row?.["query"] === query),
    setPaused: (cursor, paused) => Effect.asVoid(run(sql.setPaused, [cursor, paused ? 1 : 0])),
    remove: (cursor) => Effect.asVoid(run(sql.remove, [cursor]))
  }
}

const isFree = (refused: Claimed, isOwn: boolean): boolean =>
  refused._tag === "Taken" && !refused.paused && (isOwn || refused.leftMs === 0)

/** Why a cursor could not be claimed; one that has vanished meanwhile may be claimed again at once. */
const whyNot = (query: string, found: Row | undefined): Claimed => {
  if (found === undefined) return { _tag: "Taken", position: 0, leftMs: 0, paused: false }
  const position = Number(found["position"])
  if (found["query"] !== query) return { _tag: "OtherQuery" }
  if (Number(found["same_log"]) === 0) return { _tag: "OtherLog", position }
  const paused = Number(found["paused"]) === 1
  return { _tag: "Taken", position, leftMs: Math.max(0, Number(found["left_ms"])), paused }
}

const deadLetterSql = ({ now, objects, table, texts }: SqlDialect) => {
  const letters = table("dead_letters")
  const columns = "sequence_number, letter_key, failure, parked_at"
  return {
    park: `
INSERT INTO ${letters} (cursor, sequence_number, letter_key, failure, replaying, parked_at)
SELECT $1, CAST(e.value->>'sequenceNumber' AS bigint), e.value->>'key', e.value->>'failure', 0, ${now}
FROM ${objects("$2")} WHERE true
ON CONFLICT (cursor, sequence_number) DO UPDATE SET failure = excluded.failure, replaying = 0`,
    keys: `SELECT DISTINCT letter_key FROM ${letters} WHERE cursor = $1`,
    list: `
SELECT ${columns} FROM ${letters} WHERE cursor = $1 AND sequence_number > $2 ORDER BY sequence_number LIMIT $3`,
    requestReplay: `
UPDATE ${letters} SET replaying = 1
WHERE cursor = $1 AND (CAST($2 AS text) IS NULL OR letter_key = CAST($2 AS text)) RETURNING sequence_number`,
    toReplay: `
SELECT ${columns} FROM ${letters} WHERE cursor = $1 AND replaying = 1 ORDER BY sequence_number LIMIT $2`,
    failReplay: `
UPDATE ${letters} SET replaying = 0, failure = CASE WHEN sequence_number = $3 THEN CAST($4 AS text) ELSE failure END
WHERE cursor = $1 AND letter_key = $2`,
    remove: `
DELETE FROM ${letters}
WHERE cursor = $1 AND sequence_number IN (SELECT CAST(e.value AS bigint) FROM ${texts("$2")})`,
    clear: `DELETE FROM ${letters} WHERE cursor = $1`
  }
}

const deadLetterTable = (sql: ReturnType<typeof deadLetterSql>, run: Run): DeadLetterTable => {
  const letterOf = (row: Row): DeadLetter => ({
    sequenceNumber: Number(row["sequence_number"]),
    key: row["letter_key"] as string,
    failure: (row["failure"] as string | null) ?? undefined,
    parkedAt: Number(row["parked_at"])
  })
  return {
    park: (cursor, letters) => Effect.asVoid(run(sql.park, [cursor, JSON.stringify(letters)])),
    keys: (cursor) => Effect.map(run(sql.keys, [cursor]), (rows) => rows.map((row) => row["letter_key"] as string)),
    list: (cursor, after, limit) => Effect.map(run(sql.list, [cursor, after, limit]), (rows) => rows.map(letterOf)),
    requestReplay: (cursor, key) => Effect.map(run(sql.requestReplay, [cursor, key ?? null]), (rows) => rows.length),
    toReplay: (cursor, limit) => Effect.map(run(sql.toReplay, [cursor, limit]), (rows) => rows.map(letterOf)),
    failReplay: (cursor, { failure, key, sequenceNumber }) =>
      Effect.asVoid(run(sql.failReplay, [cursor, key, sequenceNumber, failure ?? null])),
    remove: (cursor, numbers) => Effect.asVoid(run(sql.remove, [cursor, JSON.stringify(numbers)])),
    clear: (cursor) => Effect.asVoid(run(sql.clear, [cursor]))
  }
}

const outboxSql = ({ now, objects, skipLocked, table }: SqlDialect) => {
  const outbox = table("outbox")
  const columns = "reactor, sequence_number, place, body, attempts, failure, dead"
  const mine = "reactor = $1 AND sequence_number = $2 AND place = $3 AND attempts = $4 AND dead = 0"
  return {
    put: `
INSERT INTO ${outbox} (reactor, sequence_number, place, body, attempts, failure, dead, due_at)
SELECT e.value->>'reactor', CAST(e.value->>'sequenceNumber' AS bigint), CAST(e.value->>'place' AS bigint),
  e.value->>'body', 0, NULL, 0, ${now}
FROM ${objects("$1")} WHERE true
ON CONFLICT (reactor, sequence_number, place) DO NOTHING`,
    lease: `
WITH due AS MATERIALIZED (
  SELECT o.reactor, o.sequence_number, o.place FROM ${outbox} AS o
  WHERE o.reactor = $1 AND o.dead = 0 AND o.due_at <= ${now}
  ORDER BY o.sequence_number, o.place LIMIT $2${skipLocked}
)
UPDATE ${outbox} SET attempts = attempts + 1, due_at = ${now} + $3
WHERE (reactor, sequence_number, place) IN (SELECT reactor, sequence_number, place FROM due)
RETURNING ${columns}`,
    dueIn: `SELECT min(due_at) - ${now} AS due_in FROM ${outbox} WHERE reactor = $1 AND dead = 0`,
    acknowledge: `DELETE FROM ${outbox} WHERE ${mine} RETURNING 1 AS one`,
    postpone: `UPDATE ${outbox} SET due_at = ${now} + $5, failure = $6 WHERE ${mine} RETURNING 1 AS one`,
    bury: `UPDATE ${outbox} SET dead = 1, failure = $5 WHERE ${mine} RETURNING 1 AS one`,
    list: `
SELECT ${columns} FROM ${outbox} WHERE reactor = $1 AND dead = $2 ORDER BY sequence_number, place LIMIT $3`,
    count: `
SELECT count(*) AS total, coalesce(sum(dead), 0) AS dead FROM ${outbox} WHERE reactor = $1`,
    revive: `UPDATE ${outbox} SET dead = 0, due_at = ${now} WHERE reactor = $1 AND dead = 1 RETURNING 1 AS one`
  }
}

const outboxTable = (sql: ReturnType<typeof outboxSql>, run: Run): OutboxTable => {
  const entryOf = (row: Row): OutboxEntry => ({
    reactor: row["reactor"] as string,
    sequenceNumber: Number(row["sequence_number"]),
    place: Number(row["place"]),
    body: row["body"] as string,
    attempts: Number(row["attempts"]),
    failure: (row["failure"] as string | null) ?? undefined,
    dead: Number(row["dead"]) === 1
  })
  const inOrder = (a: OutboxEntry, b: OutboxEntry) => a.sequenceNumber - b.sequenceNumber || a.place - b.place
  const settle = (text: string, { place, reactor, sequenceNumber }: OutboxKey, parameters: ReadonlyArray<SqlValue>) =>
    Effect.map(run(text, [reactor, sequenceNumber, place, ...parameters]), (rows) => rows.length === 1)
  return {
    put: (entries) => Effect.asVoid(run(sql.put, [JSON.stringify(entries)])),
    lease: (reactor, limit, leaseMs) =>
      Effect.map(run(sql.lease, [reactor, limit, leaseMs]), (rows) => rows.map(entryOf).sort(inOrder)),
    dueIn: (reactor) =>
      Effect.map(run(sql.dueIn, [reactor]), ([row]) => {
        const due = row?.["due_in"]
        return due === null || due === undefined ? undefined : Math.max(0, Number(due))
      }),
    acknowledge: (key, attempts) => settle(sql.acknowledge, key, [attempts]),
    postpone: (key, attempts, delayMs, failure) => settle(sql.postpone, key, [attempts, delayMs, failure]),
    bury: (key, attempts, failure) => settle(sql.bury, key, [attempts, failure]),
    list: (reactor, dead, limit) =>
      Effect.map(run(sql.list, [reactor, dead ? 1 : 0, limit]), (rows) => rows.map(entryOf)),
    count: (reactor) =>
      Effect.map(run(sql.count, [reactor]), ([row]) => {
        const dead = Number(row!["dead"])
        return { waiting: Number(row!["total"]) - dead, dead }
      }),
    revive: (reactor) => Effect.map(run(sql.revive, [reactor]), (rows) => rows.length)
  }
}

const versionSql = ({ table }: SqlDialect) => {
  const versions = table("projection_versions")
  return {
    active: `SELECT active_version FROM ${versions} WHERE projection = $1`,
    activate: `
INSERT INTO ${versions} AS v (projection, active_version) VALUES ($1, $2)
ON CONFLICT (projection) DO UPDATE SET active_version = excluded.active_version
WHERE v.active_version < excluded.active_version
RETURNING active_version`
  }
}

const versionTable = (sql: ReturnType<typeof versionSql>, run: Run): VersionTable => ({
  active: (projection) =>
    Effect.map(run(sql.active, [projection]), ([row]) =>
      row === undefined ? undefined : Number(row["active_version"])
    ),
  activate: (projection, version) => Effect.map(run(sql.activate, [projection, version]), (rows) => rows.length === 1)
})
