-- What a store of format 1 has left behind after four events, three of which are in its index, the last one under a key.
CREATE SCHEMA evolvent;

CREATE TABLE "evolvent".log (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  format int4 NOT NULL,
  log_id uuid NOT NULL DEFAULT gen_random_uuid(),
  indexed_through int8 NOT NULL DEFAULT 0,
  has_partly_indexed boolean NOT NULL DEFAULT false
);
CREATE TABLE "evolvent".events (
  sequence_number int8 PRIMARY KEY,
  event_id uuid NOT NULL UNIQUE,
  event_type text COLLATE "C" NOT NULL,
  schema_version int8 NOT NULL,
  payload text COLLATE "C" NOT NULL,
  tags text COLLATE "C" NOT NULL,
  metadata text COLLATE "C" NOT NULL,
  occurred_at int8 NOT NULL,
  batch_end int8 NOT NULL,
  keys int4[] NOT NULL
);
CREATE TABLE "evolvent".event_index (
  sequence_number int8 NOT NULL,
  keys int4[] NOT NULL
);
CREATE INDEX event_index_keys ON "evolvent".event_index USING gin (keys) WITH (fastupdate = on, gin_pending_list_limit = 1048576);
CREATE TABLE "evolvent".idempotency (
  key text COLLATE "C" PRIMARY KEY,
  fingerprint text COLLATE "C" NOT NULL,
  first_number int8 NOT NULL,
  last_number int8 NOT NULL
);

CREATE FUNCTION "evolvent".refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the log is append-only: events are never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "evolvent".events
  FOR EACH STATEMENT EXECUTE FUNCTION "evolvent".refuse_change();
ALTER TABLE "evolvent".events ENABLE ALWAYS TRIGGER events_append_only;

CREATE FUNCTION "evolvent".lock(lock_milliseconds int4) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM set_config('lock_timeout', lock_milliseconds::text, true);
  PERFORM set_config('idle_in_transaction_session_timeout', greatest(lock_milliseconds, 1000)::text, true);
  PERFORM pg_advisory_xact_lock('"evolvent".events'::regclass::oid::int4, 1);
END $$;

CREATE FUNCTION "evolvent".append(
  event_ids uuid[], event_types text[], schema_versions int8[], payloads text[], all_tags text[], all_metadata text[],
  left_in_batch int4[], event_requests int4[], flat_keys int4[], key_starts int4[], key_ends int4[],
  checked_through int8[], least_checked int8, most_checked int8,
  alternative_requests int4[], alternative_terms int4[], alls text[], anys text[],
  given_ids uuid[], given_requests int4[],
  new_keys text[], fingerprints text[], new_key_requests int4[],
  lock_milliseconds int4,
  OUT head int8, OUT occurred_at int8, OUT indexed_through int8, OUT refused int4[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  last_end int8;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'read committed is required' USING ERRCODE = 'EV001';
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  PERFORM "evolvent".lock(lock_milliseconds);
  SELECT e.sequence_number, e.batch_end, (SELECT l.indexed_through FROM "evolvent".log AS l)
    INTO head, last_end, indexed_through
    FROM "evolvent".events AS e ORDER BY e.sequence_number DESC LIMIT 1;
  IF head IS NULL THEN
    SELECT 0, 0, l.indexed_through INTO head, last_end, indexed_through FROM "evolvent".log AS l;
  END IF;
  IF last_end <> head OR indexed_through > head THEN
    RAISE EXCEPTION 'the log ends within a batch' USING ERRCODE = 'EV002', DETAIL = head + 1;
  END IF;
  IF head > 9007199254740991 - cardinality(event_ids) THEN
    RAISE EXCEPTION 'the log is full' USING ERRCODE = 'EV003', DETAIL = head;
  END IF;
  IF least_checked < head OR most_checked > head THEN
    refused := "evolvent".refuse_changed(
      head, least_checked, checked_through, alternative_requests, alternative_terms, alls, anys);
  END IF;
  IF given_ids IS NOT NULL OR new_keys IS NOT NULL THEN
    refused := array_cat(refused, "evolvent".refuse_known(given_ids, given_requests, new_keys, new_key_requests));
  END IF;
  occurred_at := floor(extract(epoch FROM clock_timestamp()) * 1000);
  IF refused IS NULL AND cardinality(event_ids) = 1 THEN
    INSERT INTO "evolvent".events VALUES (
      head + 1, event_ids[1], event_types[1], schema_versions[1], payloads[1], all_tags[1], all_metadata[1], occurred_at,
      head + 1, flat_keys
    );
  ELSIF refused IS NULL THEN
    INSERT INTO "evolvent".events
    SELECT head + u.place, u.event_id, u.event_type, u.schema_version, u.payload, u.tags, u.metadata, occurred_at,
      head + u.place + u.left_in_batch, flat_keys[u.key_start : u.key_end]
    FROM unnest(
      event_ids, event_types, schema_versions, payloads, all_tags, all_metadata, left_in_batch, key_starts, key_ends
    ) WITH ORDINALITY AS u(
      event_id, event_type, schema_version, payload, tags, metadata, left_in_batch, key_start, key_end, place
    );
  ELSE
    INSERT INTO "evolvent".events
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
    INSERT INTO "evolvent".idempotency
    SELECT k.key, k.fingerprint, min(e.place) + head, max(e.place) + head
    FROM unnest(new_keys, fingerprints, new_key_requests) AS k(key, fingerprint, request)
    JOIN (
      SELECT r.request, row_number() OVER (ORDER BY r.ordinal) AS place
      FROM unnest(event_requests) WITH ORDINALITY AS r(request, ordinal)
      WHERE refused IS NULL OR NOT r.request = ANY (refused)
    ) AS e ON e.request = k.request
    GROUP BY k.key, k.fingerprint;
  END IF;
END $$;

CREATE FUNCTION "evolvent".refuse_changed(
  head int8, least_checked int8,
  checked_through int8[], alternative_requests int4[], alternative_terms int4[], alls text[], anys text[]
) RETURNS int4[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_seqscan = off
AS $$
DECLARE
  changed_requests int4[];
  newer_events int8;
BEGIN
  WITH newer AS MATERIALIZED (
    SELECT e.sequence_number, e.keys FROM "evolvent".events AS e WHERE e.sequence_number > least_checked
  ), postings AS (
    SELECT n.sequence_number, n.keys, unnest(n.keys) AS term FROM newer AS n
  ), partly AS (
    SELECT max(n.sequence_number) AS number FROM newer AS n WHERE n.keys @> '{0}'
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
    RAISE EXCEPTION 'an event is missing' USING ERRCODE = 'EV004', DETAIL = (
      SELECT min(n.place) FROM (
        SELECT e.sequence_number, least_checked + row_number() OVER (ORDER BY e.sequence_number) AS place
        FROM "evolvent".events AS e WHERE e.sequence_number > least_checked
      ) AS n WHERE n.sequence_number <> n.place);
  END IF;
  RETURN changed_requests;
END $$;

CREATE FUNCTION "evolvent".refuse_known(
  given_ids uuid[], given_requests int4[], new_keys text[], new_key_requests int4[]
) RETURNS int4[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
BEGIN
  RETURN (
    SELECT array_agg(known.request)
    FROM (
      SELECT given_requests[array_position(given_ids, e.event_id)] AS request
      FROM "evolvent".events AS e WHERE e.event_id = ANY (given_ids)
      UNION
      SELECT new_key_requests[array_position(new_keys, i.key)]
      FROM "evolvent".idempotency AS i WHERE i.key = ANY (new_keys)
    ) AS known
  );
END $$;

CREATE FUNCTION "evolvent".read(
  known_head int8, known_base int8, most_newer int4,
  requests int4[], alls text[], anys text[], afters int8[], up_tos int8[], most int4
) RETURNS TABLE (kind int4, sequence_number int8, event_id uuid, event_type text, schema_version int8,
  payload text, tags text, metadata text, occurred_at int8, batch_end int8)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
SET enable_memoize = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  head int8;
  last_end int8;
  through int8;
  partly boolean;
  asked_by int4[];
  candidates int8[];
BEGIN
  SELECT l.indexed_through, l.has_partly_indexed INTO through, partly FROM "evolvent".log AS l;
  SELECT e.sequence_number, e.batch_end INTO head, last_end
    FROM "evolvent".events AS e ORDER BY e.sequence_number DESC LIMIT 1;
  RETURN QUERY SELECT 0, coalesce(head, 0), NULL::uuid, NULL::text, partly::int4::int8,
    NULL::text, NULL::text, NULL::text, through, coalesce(last_end, 0);
  IF head > greatest(known_head, through) THEN
    RETURN QUERY
    SELECT 1, e.sequence_number, e.event_id, e.event_type, e.schema_version, CASE WHEN e.bytes OPERATOR(pg_catalog.-) pg_catalog.octet_length(e.payload)
      OPERATOR(pg_catalog.<) 8388608 THEN e.payload END, e.tags, e.metadata, e.occurred_at, e.batch_end
    FROM (
      SELECT n.*, sum(octet_length(n.payload)) OVER (ORDER BY n.sequence_number) AS bytes
      FROM (
        SELECT * FROM "evolvent".events AS e
        WHERE e.sequence_number > greatest(known_head, through)
          AND e.sequence_number <= greatest(known_head, through) + most_newer
      ) AS n
    ) AS e
    ORDER BY e.sequence_number;
  END IF;
  IF requests IS NOT NULL THEN
    SELECT array_agg(a.request), array_agg(i.sequence_number) INTO asked_by, candidates
    FROM unnest(requests, alls, anys, afters, up_tos) AS a(request, all_of, any_of, after, up_to)
    CROSS JOIN LATERAL (
      SELECT x.sequence_number FROM "evolvent".event_index AS x
      WHERE x.keys @> a.all_of::int4[] AND (a.any_of IS NULL OR x.keys && a.any_of::int4[])
        AND x.sequence_number > a.after
        AND x.sequence_number <= CASE WHEN through > known_head THEN through ELSE known_base END
        AND x.sequence_number <= a.up_to
      LIMIT most
    ) AS i;
    RETURN QUERY SELECT 2, 0::int8, NULL::uuid, NULL::text, NULL::int8,
      asked_by::text, candidates::text, NULL::text, NULL::int8, NULL::int8;
    RETURN QUERY
    SELECT 3, e.sequence_number, e.event_id, e.event_type, e.schema_version,
      CASE WHEN octet_length(e.payload) <= 4096 THEN e.payload END, e.tags, e.metadata, e.occurred_at, e.batch_end
    FROM "evolvent".events AS e WHERE e.sequence_number = ANY (candidates);
  END IF;
END $$;

CREATE FUNCTION "evolvent".write_index(most int4) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  through int8;
  up_to int8;
BEGIN
  PERFORM set_config('lock_timeout', '1000', true);
  PERFORM pg_advisory_xact_lock('"evolvent".events'::regclass::oid::int4, 2);
  SELECT l.indexed_through INTO through FROM "evolvent".log AS l;
  SELECT least(max(e.sequence_number), through + most) INTO up_to FROM "evolvent".events AS e;
  IF up_to IS NULL OR up_to <= through THEN
    RETURN through;
  END IF;
  INSERT INTO "evolvent".event_index
    SELECT e.sequence_number, e.keys FROM "evolvent".events AS e
    WHERE e.sequence_number > through AND e.sequence_number <= up_to ORDER BY e.sequence_number;
  PERFORM gin_clean_pending_list('"evolvent".event_index_keys'::regclass);
  UPDATE "evolvent".log SET indexed_through = up_to, has_partly_indexed = has_partly_indexed OR EXISTS (
    SELECT FROM "evolvent".events AS e
    WHERE e.sequence_number > through AND e.sequence_number <= up_to AND e.keys @> '{0}');
  RETURN up_to;
END $$;

REVOKE ALL ON "evolvent".log, "evolvent".events, "evolvent".event_index, "evolvent".idempotency FROM PUBLIC;
REVOKE ALL ON FUNCTION "evolvent".refuse_change, "evolvent".lock, "evolvent".append, "evolvent".refuse_changed, "evolvent".refuse_known, "evolvent".read, "evolvent".write_index
  FROM PUBLIC;

INSERT INTO evolvent.log VALUES ('true', '1', '904b5a78-67cd-440e-9ff6-5022bd0c56ad', '3', 'false');
INSERT INTO evolvent.events VALUES ('1', '01a1ff81-104f-7004-9b2e-ab6ea5ff21f9', 'Opened', '1', 'null', '["sale:1"]', '{}', '1795288010838', '2', '{922142458, 780909372, -1745555123}');
INSERT INTO evolvent.events VALUES ('2', '01a1ff81-104f-7004-9b2e-af1b94d0c240', 'Sold', '1', '{"seat":7}', '["sale:1"]', '{}', '1795288010838', '2', '{428190300, 780909372, 462674669}');
INSERT INTO evolvent.events VALUES ('3', '01a1ff81-105a-700c-acf6-2d5dad9adea4', 'Sold', '1', '{"seat":8}', '["sale:1"]', '{}', '1795288010863', '3', '{428190300, 780909372, -287889172}');
INSERT INTO evolvent.events VALUES ('4', '01a1ff81-1280-7003-93e3-0c989fe21a38', 'Sold', '1', '{"seat":9}', '[]', '{}', '1795288011397', '4', '{428190300, -867701899}');
INSERT INTO evolvent.event_index VALUES ('1', '{922142458, 780909372, -1745555123}');
INSERT INTO evolvent.event_index VALUES ('2', '{428190300, 780909372, 462674669}');
INSERT INTO evolvent.event_index VALUES ('3', '{428190300, 780909372, -287889172}');
INSERT INTO evolvent.idempotency VALUES ('seat 9', 'f956acdcec63b961ee5c03e5ef4cef6d33c6c73e60c4c6dd8bd5407637bf522f', '4', '4');
