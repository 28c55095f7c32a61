import { Effect, Schema } from "effect"
import { type Persistence, PersistenceError, Write } from "../../persistence/index.ts"
import { Entry, type Filter, type Position, type Purged } from "../Entry.ts"
import { tenantKey } from "../Identity.ts"
import { taskOf } from "../Key.ts"
import type { Query, Result, Ticket } from "../Lookup.ts"
import { expiryOf } from "../Policy.ts"
import { sha256 } from "./Digest.ts"

/** What a lookup reads. */
export interface Stored {
  readonly payload: string | null
  readonly digest: string
  readonly createdAtMs: number
  readonly durationMs: number
  readonly workflow: string | null
  readonly runId: string | null
  readonly frameNo: number | null
  readonly nodeId: string
  readonly iteration: number
  readonly writer: string
}

/** Binds a payload to its key: what was cut, changed or moved here from another entry is found out. */
export const digestOf = (key: string, payload: string | null): string =>
  sha256(payload === null ? `${key}-` : `${key}+${payload}`)

const findText = `SELECT payload_json AS payload, payload_sha256 AS digest, created_at_ms AS "createdAtMs",
    duration_ms AS "durationMs", workflow, run_id AS "runId", frame_no AS "frameNo", node_id AS "nodeId", iteration, writer
  FROM _smithers_cache WHERE cache_key = ?`

const columns = `cache_key AS key, tenant, scope, task, parts_json AS parts, tags_json AS tags, workflow,
  run_id AS "runId", frame_no AS "frameNo", node_id AS "nodeId", iteration, writer, bytes,
  duration_ms AS "durationMs", created_at_ms AS "createdAtMs", expires_at_ms AS "expiresAtMs",
  CASE WHEN hits > 0 THEN used_at_ms END AS "lastHitAtMs", hits`

/** Writes anew what is there under this key already. */
const insertText = (frame: string) =>
  `INSERT INTO _smithers_cache (cache_key, tenant, scope, task, parts_json, tags_json, workflow, run_id,
    frame_no, node_id, iteration, writer, bytes, duration_ms, created_at_ms, expires_at_ms, used_at_ms, hits,
    payload_sha256, payload_json)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, (${frame}), ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)
  ON CONFLICT (cache_key) DO UPDATE SET tags_json = excluded.tags_json, workflow = excluded.workflow,
    run_id = excluded.run_id, frame_no = excluded.frame_no, node_id = excluded.node_id,
    iteration = excluded.iteration, writer = excluded.writer, bytes = excluded.bytes,
    duration_ms = excluded.duration_ms, created_at_ms = excluded.created_at_ms,
    expires_at_ms = excluded.expires_at_ms, used_at_ms = excluded.used_at_ms, hits = 0,
    payload_sha256 = excluded.payload_sha256, payload_json = excluded.payload_json`

const insertGivenFrame = insertText("?")
let insertWithQuery = { frame: "", text: "" }

/** One text per query; there is one query. */
const textFor = (frame: Query): string => {
  if (insertWithQuery.frame !== frame.text) insertWithQuery = { frame: frame.text, text: insertText(frame.text) }
  return insertWithQuery.text
}

/** What an entry counts against the bounds. */
export const sizeOf = (partsText: string, payload: string | null): number =>
  partsText.length + (payload === null ? 0 : Buffer.byteLength(payload))

const encodeList = (list: ReadonlyArray<unknown>) => JSON.stringify(list)

/** The entry as a unit, and its size. */
export const insert = (ticket: Ticket, { atMs, durationMs, frame, text }: Result) => {
  const partsText = JSON.stringify(ticket.parts)
  const bytes = sizeOf(partsText, text)
  const query: Query | undefined = typeof frame === "object" ? frame : undefined
  const unit = Write.run(query === undefined ? insertGivenFrame : textFor(query), [
    ticket.key,
    ticket.tenant,
    ticket.scope,
    taskOf(ticket.parts),
    partsText,
    encodeList(ticket.policy.tags ?? []),
    ticket.workflow,
    ticket.runId,
    ...(query === undefined ? [typeof frame === "number" ? frame : null] : query.params),
    ticket.nodeId,
    ticket.iteration,
    ticket.writer,
    bytes,
    Math.max(0, Math.round(durationMs)),
    atMs,
    expiryOf(ticket.policy, atMs),
    atMs,
    digestOf(ticket.key, text),
    text
  ])
  return { bytes, unit }
}

export const undo = (runId: string, frameNo: number): Write.Write<number> =>
  Write.run("DELETE FROM _smithers_cache WHERE run_id = ? AND frame_no > ?", [runId, frameNo])

export const forget = (runId: string): Write.Write<number> =>
  Write.run("DELETE FROM _smithers_cache WHERE run_id = ? AND scope = 'run'", [runId])

/** Rows that one statement of house-keeping removes, so that no commit takes long. */
const chunk = 1_000

const where = (filter: Filter, nowMs: number) => {
  const conditions: Array<string> = []
  const params: Array<string | number> = []
  const add = (condition: string, value: string | number | undefined) => {
    if (value === undefined) return
    conditions.push(condition)
    params.push(value)
  }
  add("created_at_ms < ?", filter.olderThanMs === undefined ? undefined : nowMs - filter.olderThanMs)
  add("tenant = ?", filter.tenant)
  const { exceptProjectIds = [], orgId, projectIds } = filter
  if (orgId !== undefined) {
    const keysOf = (ids: ReadonlyArray<string>) => encodeList(ids.map((projectId) => tenantKey({ orgId, projectId })))
    // No id has a slash; behind it comes 0.
    if (projectIds === undefined) {
      conditions.push("(tenant = ? OR (tenant > ? AND tenant < ?))")
      params.push(orgId, `${orgId}/`, `${orgId}0`)
    } else {
      add("tenant IN (SELECT value FROM json_each(?))", keysOf(projectIds))
    }
    if (exceptProjectIds.length > 0) add("tenant NOT IN (SELECT value FROM json_each(?))", keysOf(exceptProjectIds))
  }
  add("workflow = ?", filter.workflow)
  add("? IN (task, node_id)", filter.task)
  add("EXISTS (SELECT 1 FROM json_each(tags_json) WHERE value = ?)", filter.tag)
  add("run_id = ?", filter.runId)
  return { text: conditions.length === 0 ? "true" : conditions.join(" AND "), params }
}

const decodeEntries = Schema.decodeUnknown(Schema.Array(Entry))

const purgedOf = ([row]: ReadonlyArray<Write.Row>): Purged => ({
  entries: Number(row?.["entries"]),
  bytes: Number(row?.["bytes"])
})

const bytesOf = (rows: ReadonlyArray<Write.Row>): Purged => ({
  entries: rows.length,
  bytes: rows.reduce((sum, row) => sum + Number(row["bytes"]), 0)
})

/** The rows of the cache. */
export const make = ({ read, write }: Persistence.Persistence["Type"]) => {
  const entries = (operation: string, text: string, params: ReadonlyArray<Write.SqlValue>) =>
    Effect.flatMap(
      read(text, params),
      (rows) => PersistenceError.refail(operation)(decodeEntries(rows))
    )

  const removing = (condition: string, params: ReadonlyArray<Write.SqlValue>) =>
    Effect.map(
      write(Write.rows(
        `DELETE FROM _smithers_cache WHERE cache_key IN
          (SELECT cache_key FROM _smithers_cache WHERE ${condition} LIMIT ${chunk}) RETURNING bytes`,
        params
      )),
      bytesOf
    )

  /** Chunk by chunk; what readers and writers want comes in between. */
  const removeAll = (condition: string, params: ReadonlyArray<Write.SqlValue>) =>
    Effect.iterate({ entries: 0, bytes: 0, last: chunk }, {
      while: ({ last }) => last === chunk,
      body: (sum) =>
        Effect.map(removing(condition, params), (removed) => ({
          entries: sum.entries + removed.entries,
          bytes: sum.bytes + removed.bytes,
          last: removed.entries
        }))
    }).pipe(Effect.map(({ bytes, entries: count }): Purged => ({ entries: count, bytes })))

  return {
    find: (key: string): Effect.Effect<Stored | undefined, PersistenceError> =>
      // The columns are STRICT and the names are given in the query.
      Effect.map(read(findText, [key]), ([row]) => row as Stored | undefined),

    list: (filter: Filter, nowMs: number, limit: number, after: Position | undefined) => {
      const { params, text } = where(filter, nowMs)
      return entries(
        "Cache.list",
        `SELECT ${columns} FROM _smithers_cache WHERE ${text}
          ${after === undefined ? "" : "AND (created_at_ms, cache_key) < (?, ?)"}
          ORDER BY created_at_ms DESC, cache_key DESC LIMIT ?`,
        [...params, ...(after === undefined ? [] : [after.createdAtMs, after.key]), limit]
      )
    },

    byKey: (key: string) =>
      entries("Cache.explain", `SELECT ${columns} FROM _smithers_cache WHERE cache_key = ?`, [key]),

    /** The newest entries of a tenant's task that were stored before some time. */
    ofTask: (tenant: string, task: string, beforeMs: number, limit: number) =>
      entries(
        "Cache.explain",
        `SELECT ${columns} FROM _smithers_cache WHERE tenant = ? AND task = ? AND created_at_ms < ?
          ORDER BY created_at_ms DESC LIMIT ?`,
        [tenant, task, beforeMs, limit]
      ),

    /** The newest entries of a tenant that were stored before some time. */
    ofTenant: (tenant: string, beforeMs: number, limit: number) =>
      entries(
        "Cache.explain",
        `SELECT ${columns} FROM _smithers_cache WHERE tenant = ? AND created_at_ms < ?
          ORDER BY created_at_ms DESC LIMIT ?`,
        [tenant, beforeMs, limit]
      ),

    totals: Effect.map(
      read("SELECT COUNT(*) AS entries, COALESCE(SUM(bytes), 0) AS bytes FROM _smithers_cache", []),
      purgedOf
    ),

    count: (filter: Filter, nowMs: number) => {
      const { params, text } = where(filter, nowMs)
      return Effect.map(
        read(
          `SELECT COUNT(*) AS entries, COALESCE(SUM(bytes), 0) AS bytes FROM _smithers_cache WHERE ${text}`,
          params
        ),
        purgedOf
      )
    },

    purge: (filter: Filter, nowMs: number) => {
      const { params, text } = where(filter, nowMs)
      return removeAll(text, params)
    },

    /** Whether anything has expired is read, so that an idle cache writes nothing. */
    sweep: (nowMs: number): Effect.Effect<Purged, PersistenceError> =>
      Effect.flatMap(
        read("SELECT 1 FROM _smithers_cache WHERE expires_at_ms <= ? LIMIT 1", [nowMs]),
        (rows) =>
          rows.length === 0 ? Effect.succeed({ entries: 0, bytes: 0 }) : removeAll("expires_at_ms <= ?", [nowMs])
      ),

    /** The least recently used, and how large they are. */
    oldest: Effect.map(
      read(
        `SELECT cache_key AS key, bytes, used_at_ms AS "usedAtMs" FROM _smithers_cache
          ORDER BY used_at_ms, cache_key LIMIT ${chunk}`,
        []
      ),
      (rows) => rows as ReadonlyArray<{ readonly key: string; readonly bytes: number; readonly usedAtMs: number }>
    ),

    /** Removes entries that were not used after `usedAtMs`. */
    evict: (keys: ReadonlyArray<string>, usedAtMs: number): Effect.Effect<Purged, PersistenceError> =>
      Effect.map(
        write(Write.rows(
          `DELETE FROM _smithers_cache WHERE cache_key IN (SELECT value FROM json_each(?)) AND used_at_ms <= ?
            RETURNING bytes`,
          [encodeList(keys), usedAtMs]
        )),
        bytesOf
      ),

    noteHits: (uses: ReadonlyArray<readonly [key: string, hits: number, lastAtMs: number]>) =>
      write(Write.run(
        `UPDATE _smithers_cache SET hits = _smithers_cache.hits + used.hits, used_at_ms = MAX(used_at_ms, used.at)
          FROM (SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS hits,
            json_extract(value, '$[2]') AS at FROM json_each(?)) AS used
          WHERE cache_key = used.key`,
        [encodeList(uses)]
      ))
  }
}

export type Entries = ReturnType<typeof make>
