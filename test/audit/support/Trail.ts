import { NodeContext } from "@effect/platform-node"
import Sqlite from "better-sqlite3"
import { Effect, Layer, Stream } from "effect"
import {
  Audit,
  type AuditEntry,
  AuditSink,
  AuditTrail,
  Checkpoints,
  DeliveryFailed,
  type SignedStatement,
  verifyExport
} from "../../../src/audit/index.ts"
import { type Actor, type AuditCursor, type AuditFilter, type AuditFormat } from "../../../src/model/index.ts"
import { Persistence, PersistenceConfig, Write } from "../../../src/persistence/index.ts"

export const alice: Actor = { userId: "user:alice", tokenId: "00112233aabbccdd", role: "operator", scopes: [] }

export const entry = (fields: Partial<AuditEntry> = {}): AuditEntry => ({
  atMs: 5,
  actor: alice,
  action: "run.delete",
  target: "run-1",
  runId: "run-1",
  outcome: "ok",
  reason: null,
  detail: {},
  ...fields
})

const sinkOf = (delivered: Array<SignedStatement>) =>
  Layer.succeed(AuditSink.AuditSink, {
    deliver: (signed) =>
      Effect.try({ try: () => void delivered.push(signed), catch: () => new DeliveryFailed({ detail: "refused" }) })
  })

const trail = AuditTrail.layer.pipe(
  Layer.provideMerge(Checkpoints.layer),
  Layer.provideMerge(Audit.layer)
)

/** The audit of a new home that goes with the scope. */
export const layerTemp = (delivered: Array<SignedStatement> = []) =>
  trail.pipe(
    Layer.provideMerge(Persistence.layerTemp),
    Layer.provide(sinkOf(delivered)),
    Layer.provideMerge(NodeContext.layer)
  )

/** The audit of this home, as often as it is started. */
export const layerAt = (home: string, delivered: Array<SignedStatement> = []) =>
  trail.pipe(
    Layer.provideMerge(Persistence.layer),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous: "normal", allowNetworkFileSystem: true })
    ),
    Layer.provide(sinkOf(delivered)),
    Layer.provideMerge(NodeContext.layer)
  )

/** Appends so many rows, `from` on, each with another target. */
export const appendRows = (count: number, from = 1) =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    yield* persistence.write(Write.discard(
      Array.from({ length: count }, (_, i) => audit.append(entry({ atMs: 1_000 + from + i, target: `t-${from + i}` })))
    ))
  })

/** What somebody can do who may write the file: the triggers do not hold them up. */
export const tamperWith = (file: string, change: (db: Sqlite.Database) => void) => {
  const db = new Sqlite(file)
  try {
    const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all() as Array<string>
    for (const name of triggers) if (name.startsWith("_smithers_audit")) db.exec(`DROP TRIGGER ${name}`)
    db.transaction(change)(db)
  } finally {
    db.close()
  }
}

export const tamper = (change: (db: Sqlite.Database) => void) =>
  Effect.flatMap(Persistence.Persistence, ({ file }) => Effect.sync(() => tamperWith(file, change)))

/** A whole export, page by page. */
export const exported = (format: AuditFormat, filter: AuditFilter = {}, from?: AuditCursor) =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail.AuditTrail
    let text = ""
    let pages = 0
    let cursor: AuditCursor | undefined = from
    for (;;) {
      const page: { readonly text: string; readonly next: AuditCursor | null } = yield* trail.exportPage({
        format,
        filter,
        cursor
      })
      text += page.text
      pages++
      if (page.next === null) return { text, pages }
      cursor = page.next
    }
  })

/** Offline: from the text and the public key alone. */
export const verifyText = (text: string) =>
  Effect.flatMap(
    Effect.flatMap(Checkpoints.Checkpoints, (checkpoints) => checkpoints.publicKey),
    (key) => verifyExport(Stream.fromIterable(text.split("\n")), key)
  )

export const verify = Effect.flatMap(AuditTrail.AuditTrail, (trail) => trail.verify)

export const checkpoint = Effect.flatMap(Checkpoints.Checkpoints, (checkpoints) => checkpoints.take)

export const named = (
  { problem }: { readonly problem: { readonly kind: string; readonly id: number | null } | null }
) => problem === null ? "none" : `${problem.kind} ${problem.id}`
