/**
 * The functions in the database. They run with the caller's rights, `write_index` aside, and pin the planner settings and the search
 * path that they are written for.
 */
import { columns } from "../internal/rows.ts"
import { cutOff, joined, mayBeJoined, mostJoined } from "./columns.ts"
import { partlyKey } from "./keys.ts"

/** SQLSTATEs that the functions raise themselves. */
export const raised = {
  isolation: "EV001",
  logEndsEarly: "EV002",
  sequenceLimit: "EV003",
  eventMissing: "EV004"
} as const

/** What `read` answers with: the kind of the row, and the columns of an event. All are text, as they are sent. */
const rowType = ["kind", ...columns].map((column) => `${column} text`).join(", ")

/** What the functions answer that write: the head before, the time, how far the index reaches, and who was refused. */
const written = `head || ' ' || occurred_at || ' ' || indexed_through || ' ' || coalesce(array_to_string(refused, ','), '')`

/** Takes the log's lock until the end of the transaction, in statements of their own, so that those after it see what was committed. */
const takeLock = (s: string): string => `PERFORM set_config('lock_timeout', lock_milliseconds::text, true);
  PERFORM set_config('idle_in_transaction_session_timeout', greatest(lock_milliseconds, 1000)::text, true);
  PERFORM pg_advisory_xact_lock(${lockKey(s)}, 1);`

/**
 * What the functions have in common that write `count` events, from the end of their parameters on: they go to work under the lock,
 * with what is known of the log's end.
 */
const writing = (s: string, count: string): string => `) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  head int8;
  last_end int8;
  indexed_through int8;
  occurred_at int8;
  refused int4[];
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'read committed is required' USING ERRCODE = '${raised.isolation}';
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  ${takeLock(s)}
  SELECT e.sequence_number, e.batch_end, (SELECT l.indexed_through FROM ${s}.log AS l)
    INTO head, last_end, indexed_through
    FROM ${s}.events AS e ORDER BY e.sequence_number DESC LIMIT 1;
  IF head IS NULL THEN
    SELECT 0, 0, l.indexed_through INTO head, last_end, indexed_through FROM ${s}.log AS l;
  END IF;
  IF last_end <> head OR indexed_through > head THEN
    RAISE EXCEPTION 'the log ends within a batch' USING ERRCODE = '${raised.logEndsEarly}', DETAIL = head + 1;
  END IF;
  IF head > 9007199254740991 - ${count} THEN
    RAISE EXCEPTION 'the log is full' USING ERRCODE = '${raised.sequenceLimit}', DETAIL = head;
  END IF;`

/**
 * Writes a group of requests under the log's lock. A request is refused, without saying why, when one of its given ids or its
 * idempotency key is known, or when something that was recorded after the number up to which its caller has checked its context
 * may belong to the context.
 */
export const appendFunction = (s: string): string => `
CREATE FUNCTION ${s}.append(
  event_ids uuid[], event_types text[], schema_versions int8[], payloads text[], all_tags text[], all_metadata text[],
  left_in_batch int4[], event_requests int4[], flat_keys int4[], key_starts int4[], key_ends int4[],
  checked_through int8[], least_checked int8, most_checked int8,
  alternative_requests int4[], alternative_terms int4[], alls text[], anys text[],
  given_ids uuid[], given_requests int4[],
  new_keys text[], fingerprints text[], new_key_requests int4[],
  lock_milliseconds int4
${writing(s, "cardinality(event_ids)")}
  IF least_checked < head OR most_checked > head THEN
    refused := ${s}.refuse_changed(
      head, least_checked, checked_through, alternative_requests, alternative_terms, alls, anys);
  END IF;
  IF given_ids IS NOT NULL OR new_keys IS NOT NULL THEN
    refused := array_cat(refused, ${s}.refuse_known(given_ids, given_requests, new_keys, new_key_requests));
  END IF;
  occurred_at := floor(extract(epoch FROM clock_timestamp()) * 1000);
  IF refused IS NULL THEN
    INSERT INTO ${s}.events
    SELECT head + u.place, u.event_id, u.event_type, u.schema_version, u.payload, u.tags, u.metadata, occurred_at,
      head + u.place + u.left_in_batch, flat_keys[u.key_start : u.key_end]
    FROM unnest(
      event_ids, event_types, schema_versions, payloads, all_tags, all_metadata, left_in_batch, key_starts, key_ends
    ) WITH ORDINALITY AS u(
      event_id, event_type, schema_version, payload, tags, metadata, left_in_batch, key_start, key_end, place
    );
  ELSE
    INSERT INTO ${s}.events
    SELECT head + n.place, n.event_id, n.event_type, n.schema_version, n.payload, n.tags, n.metadata, occurred_at,
      head + n.place + n.left_in_batch, flat_keys[n.key_start : n.key_end]
    FROM (
      SELECT u.*, row_number() OVER (ORDER BY u.ordinal) AS place
      FROM unnest(
        event_ids, event_types, schema_versions, payloads, all_tags, all_metadata, left_in_batch, event_requests, key_starts, key_ends
      ) WITH ORDINALITY AS u(
        event_id, event_type, schema_version, payload, tags, metadata, left_in_batch, request, key_start, key_end, ordinal
      )
      WHERE NOT u.request = ANY (refused)
    ) AS n;
  END IF;
  IF new_keys IS NOT NULL THEN
    INSERT INTO ${s}.idempotency
    SELECT k.key, k.fingerprint, min(e.place) + head, max(e.place) + head
    FROM unnest(new_keys, fingerprints, new_key_requests) AS k(key, fingerprint, request)
    JOIN (
      SELECT r.request, row_number() OVER (ORDER BY r.ordinal) AS place
      FROM unnest(event_requests) WITH ORDINALITY AS r(request, ordinal)
      WHERE refused IS NULL OR NOT r.request = ANY (refused)
    ) AS e ON e.request = k.request
    GROUP BY k.key, k.fingerprint;
  END IF;
  RETURN ${written};
END $$;`

/**
 * `append` for what is most frequent where calls come one by one: one request of one event, whose id is a new one, without a key. It
 * has no arrays of events to take apart, which is about half of what `append` takes longer than an INSERT.
 */
export const appendOneFunction = (s: string): string => `
CREATE FUNCTION ${s}.append_one(
  event_id uuid, event_type text, schema_version int8, payload text, tags text, metadata text, keys int4[],
  checked_through int8, alternative_terms int4[], alls text[], anys text[],
  lock_milliseconds int4
${writing(s, "1")}
  IF checked_through <> head THEN
    refused := ${s}.refuse_changed(
      head, checked_through, ARRAY[checked_through],
      array_fill(1, ARRAY[cardinality(alternative_terms)]), alternative_terms, alls, anys);
  END IF;
  occurred_at := floor(extract(epoch FROM clock_timestamp()) * 1000);
  IF refused IS NULL THEN
    INSERT INTO ${s}.events VALUES (
      head + 1, event_id, event_type, schema_version, payload, tags, metadata, occurred_at, head + 1, keys
    );
  END IF;
  RETURN ${written};
END $$;`

/**
 * Takes the log's lock alone. Where a COMMIT is to follow and its caller has vanished, the server gives the lock back about as soon
 * as others have waited for it in vain.
 */
export const lockFunction = (s: string): string => `
CREATE FUNCTION ${s}.lock(lock_milliseconds int4) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  ${takeLock(s)}
END $$;`

/**
 * The requests of whose contexts something may have been recorded after what their callers have checked. Plans are kept: with the
 * arrays at hand in view the planner finds better ones every time, which takes longer under the lock than what they save.
 */
export const refuseChangedFunction = (s: string): string => `
CREATE FUNCTION ${s}.refuse_changed(
  head int8, least_checked int8,
  checked_through int8[], alternative_requests int4[], alternative_terms int4[], alls text[], anys text[]
) RETURNS int4[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
  changed_requests int4[];
  newer_events int8;
BEGIN
  WITH newer AS MATERIALIZED (
    SELECT e.sequence_number, e.keys FROM ${s}.events AS e WHERE e.sequence_number > least_checked
  ), postings AS (
    SELECT n.sequence_number, n.keys, unnest(n.keys) AS term FROM newer AS n
  ), partly AS (
    SELECT max(n.sequence_number) AS number FROM newer AS n WHERE n.keys @> '{${partlyKey}}'
  )
  SELECT array_agg(changed.request), (SELECT count(*) FROM newer) INTO changed_requests, newer_events
  FROM (
    SELECT a.request
    FROM unnest(alternative_requests, alternative_terms, alls, anys) AS a(request, term, all_of, any_of)
    JOIN postings AS p ON p.term = a.term
    WHERE p.sequence_number > checked_through[a.request] AND p.keys @> a.all_of::int4[]
      AND (a.any_of IS NULL OR p.keys && a.any_of::int4[])
    UNION
    SELECT c.request
    FROM unnest(checked_through) WITH ORDINALITY AS c(number, request)
    WHERE c.number > head OR c.number < (SELECT p.number FROM partly AS p)
      OR (c.number < head AND NOT c.request = ANY (alternative_requests))
  ) AS changed;
  IF newer_events <> greatest(head - least_checked, 0) THEN
    RAISE EXCEPTION 'an event is missing' USING ERRCODE = '${raised.eventMissing}', DETAIL = (
      SELECT min(n.place) FROM (
        SELECT e.sequence_number, least_checked + row_number() OVER (ORDER BY e.sequence_number) AS place
        FROM ${s}.events AS e WHERE e.sequence_number > least_checked
      ) AS n WHERE n.sequence_number <> n.place);
  END IF;
  RETURN changed_requests;
END $$;`

/** The requests whose given ids or idempotency keys are known. */
export const refuseKnownFunction = (s: string): string => `
CREATE FUNCTION ${s}.refuse_known(
  given_ids uuid[], given_requests int4[], new_keys text[], new_key_requests int4[]
) RETURNS int4[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  RETURN (
    SELECT array_agg(known.request)
    FROM (
      SELECT given_requests[array_position(given_ids, e.event_id)] AS request
      FROM ${s}.events AS e WHERE e.event_id = ANY (given_ids)
      UNION
      SELECT new_key_requests[array_position(new_keys, i.key)]
      FROM ${s}.idempotency AS i WHERE i.key = ANY (new_keys)
    ) AS known
  );
END $$;`

/**
 * Reads in one snapshot (the function is STABLE), in rows of four kinds: 0 the state of the log, which is its head, whether some
 * events are indexed in part, the index's reach and the end of the last batch; 1 the events after what the caller knows; 2 who
 * asked for which candidates from the index; 3 the candidates' events, joined. Payloads that are too much for one answer are left
 * out, to be asked for again; the first newer event always has one. So are candidates that are not joined to the others, and
 * those that do not lie any more where the index has them.
 *
 * Candidates lie anywhere in the log. What the operating system has in its cache is read in place: to have another process
 * read it ahead, as PostgreSQL 18 does on its own, costs more than the reading.
 */
export const readFunction = (s: string): string => `
CREATE FUNCTION ${s}.read(
  known_head int8, known_base int8, most_newer int4,
  requests int4[], alls text[], anys text[], afters int8[], up_tos int8[], most int4
) RETURNS TABLE (${rowType})
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
SET enable_memoize = off SET enable_tidscan = on SET jit = off SET effective_io_concurrency = 0
AS $$
#variable_conflict use_column
DECLARE
  head int8;
  last_end int8;
  through int8;
  partly boolean;
  asked_by int4[];
  candidates int8[];
  places tid[];
BEGIN
  SELECT l.indexed_through, l.has_partly_indexed INTO through, partly FROM ${s}.log AS l;
  SELECT e.sequence_number, e.batch_end INTO head, last_end
    FROM ${s}.events AS e ORDER BY e.sequence_number DESC LIMIT 1;
  RETURN QUERY SELECT '0', coalesce(head, 0)::text, NULL, NULL, partly::int4::text, NULL, NULL, NULL,
    through::text, coalesce(last_end, 0)::text;
  IF head > greatest(known_head, through) THEN
    RETURN QUERY
    SELECT '1', ${cutOff("e", "::text")}
    FROM (
      SELECT n.*, sum(octet_length(n.payload)) OVER (ORDER BY n.sequence_number) AS bytes
      FROM (
        SELECT * FROM ${s}.events AS e
        WHERE e.sequence_number > greatest(known_head, through)
          AND e.sequence_number <= greatest(known_head, through) + most_newer
      ) AS n
    ) AS e
    ORDER BY e.sequence_number;
  END IF;
  IF requests IS NOT NULL THEN
    SELECT array_agg(a.request), array_agg(i.sequence_number), array_agg(i.place) INTO asked_by, candidates, places
    FROM (
      SELECT u.request, u.all_of::int4[], u.any_of::int4[], u.after,
        least(u.up_to, CASE WHEN through > known_head THEN through ELSE known_base END) AS up_to
      FROM unnest(requests, alls, anys, afters, up_tos) AS u(request, all_of, any_of, after, up_to)
      OFFSET 0
    ) AS a
    CROSS JOIN LATERAL (
      SELECT x.sequence_number, x.place FROM ${s}.event_index AS x
      WHERE x.keys @> a.all_of AND (a.any_of IS NULL OR x.keys && a.any_of)
        AND x.sequence_number > a.after AND x.sequence_number <= a.up_to
      LIMIT most
    ) AS i;
    RETURN QUERY SELECT '2', asked_by::text, candidates::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
    RETURN QUERY
    SELECT '3', ${joined("e")}, NULL
    FROM ${s}.events AS e
    WHERE e.ctid = ANY (places[:${mostJoined}]) AND ${mayBeJoined("e")};
  END IF;
END $$;`

/**
 * Brings the index up to the log, at most some thousands of events at once, and says how far it is now. Whoever comes while
 * another is at it waits, a second at most, and finds it done. It needs the rights of the index's owner, for only the owner may have the pending entries sorted in.
 */
export const writeIndexFunction = (s: string): string => `
CREATE FUNCTION ${s}.write_index(most int4) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  through int8;
  up_to int8;
BEGIN
  PERFORM set_config('lock_timeout', '1000', true);
  PERFORM pg_advisory_xact_lock(${lockKey(s)}, 2);
  SELECT l.indexed_through INTO through FROM ${s}.log AS l;
  SELECT least(max(e.sequence_number), through + most) INTO up_to FROM ${s}.events AS e;
  IF up_to IS NULL OR up_to <= through THEN
    RETURN through;
  END IF;
  INSERT INTO ${s}.event_index
    SELECT e.sequence_number, e.keys, e.ctid FROM ${s}.events AS e
    WHERE e.sequence_number > through AND e.sequence_number <= up_to ORDER BY e.sequence_number;
  PERFORM gin_clean_pending_list('${s}.event_index_keys'::regclass);
  UPDATE ${s}.log SET indexed_through = up_to, has_partly_indexed = has_partly_indexed OR EXISTS (
    SELECT FROM ${s}.events AS e
    WHERE e.sequence_number > through AND e.sequence_number <= up_to AND e.keys @> '{${partlyKey}}');
  RETURN up_to;
END $$;`

/** Advisory locks are named by the table's oid, so every log of a database has its own. */
const lockKey = (s: string): string => `'${s}.events'::regclass::oid::int4`
