import type { FileSystem, Path } from "@effect/platform"
import { Clock, Context, DateTime, Duration, Effect, Layer, Option, Schema } from "effect"
import { type Actor, type AuditProblem, systemActor } from "../model/index.ts"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import { Audit } from "./Audit.ts"
import { AuditConfig, youngestPruned } from "./AuditConfig.ts"
import type { AuditEntry } from "./AuditEntry.ts"
import { type AuditUnavailable, InvalidAuditRequest } from "./AuditError.ts"
import { AuditSink } from "./AuditSink.ts"
import { headText } from "./internal/Chain.ts"
import { openFolder } from "./internal/HomeFolder.ts"
import { publicPem, sign, type SigningKey, statementHash } from "./internal/Signature.ts"
import { StatementCheck } from "./internal/StatementCheck.ts"
import * as Spool from "./Spool.ts"
import { SignedStatement, Statement } from "./Statement.ts"

/** What was pruned. */
export interface Pruned {
  readonly rows: number
  /** Rows up to this id are gone; 0: there was nothing to prune. */
  readonly throughId: number
}

/**
 * The service's signature under its audit, so that rows which somebody with access to the database changed, cut off or
 * wrote anew are found.
 *
 * Statements go into the database, to `<home>/audit/checkpoints.ndjson` (synced), and to the `AuditSink`, in this order.
 * Signed are the rows that have been committed: one that was appended after the last checkpoint has no proof yet.
 */
export class Checkpoints extends Context.Tag("smithers-orchestrator/audit/Checkpoints")<Checkpoints, {
  /** Signs the log as it now stands, takes up what other processes left (`Spool`), and answers what was signed. */
  readonly take: Effect.Effect<SignedStatement, AuditUnavailable | PersistenceError>
  /** Replaces the signing key by a new one, which the old one signs; audited in the same commit. */
  readonly rotateKey: (actor: Actor) => Effect.Effect<
    { readonly keyId: string; readonly previousKeyId: string },
    AuditUnavailable | PersistenceError
  >
  /**
   * Seals the rows before the oldest one of `olderThan` (at least 30 days), then removes them, a thousand a commit. The
   * newest row always stays. Interrupted, it goes on with the next call. Audited together with the seal.
   */
  readonly prune: (
    olderThan: Duration.Duration,
    actor: Actor
  ) => Effect.Effect<Pruned, AuditUnavailable | InvalidAuditRequest | PersistenceError>
  /**
   * Signs that the log goes on from an older state for the reason given (1 to 1,000 characters), so that `verify` counts a
   * restore instead of naming `OlderDatabase`: for a power cut with `synchronous=normal`, or a copy that was put back
   * without `backup restore`. Audited in the same commit; what was lost stays lost. Refused when nothing went back.
   */
  readonly acknowledgeRollback: (
    reason: string,
    actor: Actor
  ) => Effect.Effect<AuditProblem, AuditUnavailable | InvalidAuditRequest | PersistenceError>
  /** Takes up what other processes left (`Spool`), and signs nothing. */
  readonly collect: Effect.Effect<void, AuditUnavailable | PersistenceError>
  /** The key that signs now, for whoever verifies: SPKI in PEM. */
  readonly publicKey: Effect.Effect<string>
  /** Nothing is signed or pruned meanwhile: what the database says and what lies beside it belong together. */
  readonly still: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The statements of the file beside the database, in its order; none when there is no file. */
  readonly beside: Effect.Effect<Option.Option<ReadonlyArray<SignedStatement>>, AuditUnavailable>
}>() {}

const longestReason = 1_000

/** Rows that one commit prunes. */
const pruneRows = 1_000

const lastText = `SELECT n, statement, key_id AS "keyId", signature FROM _smithers_audit_statements
  ORDER BY n DESC LIMIT 1`
const afterText = `SELECT n, statement, key_id AS "keyId", signature FROM _smithers_audit_statements
  WHERE n > ? ORDER BY n LIMIT 1000`
const insertText = `INSERT INTO _smithers_audit_statements (n, statement, key_id, signature, row_id, through_id)
  VALUES (?, ?, ?, ?, ?, ?)`

const decodeStatement = Schema.decodeUnknownOption(Schema.parseJson(Statement))
const StoredStatement = Schema.Struct({ n: Schema.Int, ...SignedStatement.fields })
const decodeStored = Schema.decodeUnknown(Schema.Array(StoredStatement))

const rowOf = (signed: SignedStatement, { id, n, seal }: Statement) => [
  n,
  signed.statement,
  signed.keyId,
  signed.signature,
  id,
  seal?.throughId ?? null
]

/** What a statement of each kind says besides where the log stands. */
type Said = Pick<Statement, "kind" | "publicKey" | "seal" | "reason">

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const audit = yield* Audit
  const sink = yield* AuditSink
  const config = yield* AuditConfig
  const folder = yield* openFolder(persistence.home)
  const platform = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const turn = yield* Effect.makeSemaphore(1)
  const intervalMs = Duration.toMillis(config.checkpointInterval)

  const stored = (text: string, params: ReadonlyArray<number>) =>
    Effect.flatMap(
      persistence.read(text, params),
      (rows) => PersistenceError.refail("Checkpoints.read")(decodeStored(rows))
    )

  let key: SigningKey
  /** The last statement there is. */
  let last = { n: 0, hash: audit.genesis.hash, id: 0 }
  /** Statements up to this one are in the file beside. */
  let filed = 0

  /** Signs where the log stands at that place of its transaction, `units` before it included. */
  const state = Effect.fnUntraced(function*(said: Said, units: ReadonlyArray<Write.Write<unknown>> = []) {
    const atMs = yield* Clock.currentTimeMillis
    const { hash: previous, n } = last
    const signedWith = key
    const at = { format: 1 as const, log: audit.logId, n: n + 1, atMs, previous }
    const insert = Write.next(insertText, (rows: ReadonlyArray<Write.Row>) => {
      const head = (rows[0] ?? audit.genesis) as typeof audit.genesis
      const statement = { ...at, ...said, id: head.id, hash: head.hash }
      return rowOf(sign(statement, signedWith), statement)
    })
    yield* persistence.write(Write.discard([...units, insert(Write.rows(headText, []))]))
    const [signed] = yield* stored(afterText, [n])
    if (signed === undefined) return yield* Effect.dieMessage("a statement that was committed is not there")
    noteLast(signed)
    return signed
  })

  const noteLast = ({ n, statement }: typeof StoredStatement.Type) => {
    const id = Option.match(decodeStatement(statement), { onNone: () => 0, onSome: (said) => said.id })
    last = { n, hash: statementHash(statement), id }
  }

  /** Statements that the file does not have yet go there, then to the sink. */
  const publish: Effect.Effect<void, AuditUnavailable | PersistenceError> = Effect.gen(function*() {
    for (;;) {
      const missing = yield* stored(afterText, [filed])
      if (missing.length === 0) return
      yield* folder.appendStatements(missing)
      filed = missing.at(-1)!.n
      for (const { keyId, signature, statement } of missing) {
        yield* Effect.catchAll(
          sink.deliver({ keyId, signature, statement }),
          (cause) => Effect.logWarning("A checkpoint of the audit could not be delivered", cause)
        )
      }
    }
  })

  const takeSpool = Effect.provide(
    Spool.take(persistence.home, (entries) => persistence.write(Write.discard(entries.map(audit.append)))),
    platform
  )

  const take = turn.withPermits(1)(Effect.gen(function*() {
    yield* takeSpool
    const { keyId, signature, statement } = yield* state({ kind: "checkpoint" })
    yield* publish
    return { keyId, signature, statement }
  }))

  const openKey = Effect.gen(function*() {
    const staged = yield* folder.stagedKey
    // A rotation names the key that did not get its place: a crash stood between.
    if (Option.isSome(staged) && (yield* isNamed(staged.value.publicKey))) {
      yield* folder.installKey(staged.value)
      return staged.value
    }
    const found = yield* folder.key
    if (Option.isSome(found)) return found.value
    const made = yield* folder.stageKey
    yield* folder.installKey(made)
    return made
  })

  const isNamed = (publicKey: string) =>
    Effect.map(
      persistence.read("SELECT 1 FROM _smithers_audit_statements WHERE instr(statement, ?) > 0 LIMIT 1", [publicKey]),
      (rows) => rows.length > 0
    )

  /** The file has statements that the database lacks: an older database was put in its place. They are evidence, and kept. */
  const importStatements = Effect.fnUntraced(function*(beside: ReadonlyArray<SignedStatement>) {
    let imported = 0
    for (const signed of beside) {
      const said = Option.getOrUndefined(decodeStatement(signed.statement))
      if (said?.n !== last.n + 1) continue
      yield* persistence.write(Write.run(insertText, rowOf(signed, said)))
      noteLast({ ...signed, n: said.n })
      imported++
    }
    return imported
  })

  const restored = (entry: AuditEntry) => entry.action === "backup.restore" && entry.outcome === "ok"

  /** Puts database and file on the same footing, and says so where the database has become older. */
  const reconcile = Effect.gen(function*() {
    const [newest] = yield* stored(lastText, [])
    if (newest !== undefined) noteLast(newest)
    const inDatabase = last.n
    yield* folder.mendStatements
    const beside = yield* folder.readStatements
    const file = beside ?? []
    filed = file.reduce((n, { statement }) => {
      const said = decodeStatement(statement)
      return Option.isSome(said) ? Math.max(n, said.value.n) : n
    }, 0)
    if (beside === undefined && inDatabase > 0) {
      yield* Effect.logWarning("The audit's checkpoints beside the database are gone; they are written anew from it.")
    }
    const ahead = yield* importStatements(file)
    key = yield* openKey
    if (last.n === 0) yield* state({ kind: "begin", publicKey: key.publicKey })
    let explained: AuditEntry | undefined
    yield* Effect.provide(
      Spool.take(persistence.home, (entries) => {
        explained = entries.findLast(restored)
        return persistence.write(Write.discard(entries.map(audit.append)))
      }),
      platform
    )
    const known = yield* isNamed(key.publicKey)
    if (ahead === 0 && known) return
    if (explained !== undefined) {
      const reason = `${explained.target ?? "a backup"} was restored`
      yield* state({ kind: "restore", reason, ...(known ? {} : { publicKey: key.publicKey }) })
      return
    }
    if (!known) {
      yield* Effect.logError("The audit's signing key is not the one it was; `audit verify` will name the break.")
      if (ahead === 0) return
    }
    const reason =
      `The database ends before checkpoint ${last.n}, which lies beside it: it was replaced by an older one.`
    yield* Effect.logError(reason)
    yield* audit.record({
      actor: systemActor,
      action: "audit.behind",
      target: persistence.file,
      runId: null,
      outcome: "failed",
      reason,
      detail: { statements: ahead }
    })
  })

  yield* reconcile
  yield* take

  const due = (fromId: number) =>
    Effect.raceFirst(Effect.sleep(intervalMs), audit.reached(fromId + config.checkpointRows))
  const retryLater = (cause: AuditUnavailable | PersistenceError) =>
    Effect.zipRight(Effect.logError("The audit could not be signed", cause), Effect.sleep("1 minute"))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => audit.lastId() === last.id ? Effect.void : Effect.ignoreLogged(take))
  )
  yield* Effect.forkScoped(
    Effect.forever(Effect.suspend(() => Effect.zipRight(due(last.id), Effect.catchAll(take, retryLater))))
  )

  const rotateKey = Effect.fn("Checkpoints.rotateKey")(
    function*(actor: Actor) {
      const next = yield* folder.stageKey
      const previousKeyId = key.id
      const atMs = yield* Clock.currentTimeMillis
      const detail = { previousKeyId }
      yield* state({ kind: "rotation", publicKey: next.publicKey }, [
        audit.append({
          atMs,
          actor,
          action: "audit.rotate-key",
          target: next.id,
          runId: null,
          outcome: "ok",
          reason: null,
          detail
        })
      ])
      key = next
      yield* folder.installKey(next)
      yield* publish
      return { keyId: next.id, previousKeyId }
    },
    Effect.uninterruptible,
    turn.withPermits(1)
  )

  const removeThrough = (throughId: number): Effect.Effect<number, PersistenceError> =>
    Effect.gen(function*() {
      let rows = 0
      for (;;) {
        const removed = yield* persistence.write(Write.run(
          "DELETE FROM _smithers_audit WHERE id IN (SELECT id FROM _smithers_audit WHERE id <= ? ORDER BY id LIMIT ?)",
          [throughId, pruneRows]
        ))
        rows += removed
        if (removed < pruneRows) return rows
      }
    })

  const prune = Effect.fn("Checkpoints.prune")(
    function*(olderThan: Duration.Duration, actor: Actor) {
      if (Duration.lessThan(olderThan, youngestPruned)) {
        return yield* new InvalidAuditRequest({ field: "olderThanMs", bound: "must be at least 30 days" })
      }
      const atMs = yield* Clock.currentTimeMillis
      const beforeMs = atMs - Duration.toMillis(olderThan)
      const [edge] = yield* persistence.read(
        `SELECT (SELECT MIN(id) FROM _smithers_audit) AS "fromId", COALESCE(
          (SELECT MIN(id) FROM _smithers_audit WHERE at_ms >= ?), (SELECT MAX(id) FROM _smithers_audit)) - 1 AS "throughId"`,
        [beforeMs]
      )
      const { fromId, throughId } = edge as { readonly fromId: number | null; readonly throughId: number | null }
      if (fromId === null || throughId === null || throughId < fromId) return { rows: 0, throughId: 0 }
      const [sealed] = yield* persistence.read("SELECT hash FROM _smithers_audit WHERE id = ?", [throughId])
      const seal = { fromId, throughId, throughHash: sealed?.["hash"] as string }
      yield* state({ kind: "seal", seal }, [
        audit.append({
          atMs,
          actor,
          action: "audit.prune",
          target: `${fromId}..${throughId}`,
          runId: null,
          outcome: "ok",
          reason: null,
          detail: { rows: throughId - fromId + 1, before: DateTime.formatIso(DateTime.unsafeMake(beforeMs)) }
        })
      ])
      yield* publish
      return { rows: yield* removeThrough(throughId), throughId }
    },
    turn.withPermits(1)
  )

  /** Where the log went back to an older state that nothing signed explains. */
  const rollback = Effect.gen(function*() {
    const check = new StatementCheck(audit.logId)
    let n = 0
    for (;;) {
      const page = yield* stored(afterText, [n])
      if (page.length === 0) return check.rollback
      for (const signed of page) check.add(signed)
      n = page.at(-1)!.n
    }
  })

  const acknowledgeRollback = Effect.fn("Checkpoints.acknowledgeRollback")(
    function*(reason: string, actor: Actor) {
      if (reason === "" || reason.length > longestReason) {
        return yield* new InvalidAuditRequest({ field: "reason", bound: `must have 1 to ${longestReason} characters` })
      }
      const found = yield* rollback
      if (found === null) {
        return yield* new InvalidAuditRequest({ field: "audit", bound: "has not gone back to an older state" })
      }
      yield* state({ kind: "restore", reason }, [
        audit.append({
          atMs: yield* Clock.currentTimeMillis,
          actor,
          action: "audit.acknowledge-rollback",
          target: persistence.file,
          runId: null,
          outcome: "ok",
          reason,
          detail: { id: found.id, n: found.n }
        })
      ])
      yield* publish
      return found
    },
    Effect.uninterruptible,
    turn.withPermits(1)
  )

  return Checkpoints.of({
    acknowledgeRollback,
    collect: turn.withPermits(1)(takeSpool),
    take: take.pipe(Effect.withSpan("Checkpoints.take")),
    rotateKey,
    prune,
    still: turn.withPermits(1),
    publicKey: Effect.sync(() => publicPem(key)),
    beside: Effect.map(folder.readStatements, Option.fromNullable)
  })
})

/** Signs from its building, where the key is made if there is none, until its scope closes, with a last checkpoint then. */
export const layer = Layer.scoped(Checkpoints, make)
