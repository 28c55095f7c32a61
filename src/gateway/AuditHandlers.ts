import { Duration, Effect, Option, Record } from "effect"
import { Audit, type AuditDetail, AuditTrail, Checkpoints } from "../audit/index.ts"
import type { AuditFilter } from "../model/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { AuditRpcs, ExportAudit, ListAudit, PruneAudit, RotateAuditKey, VerifyAudit } from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

const given = (query: AuditFilter & { readonly afterId?: number | undefined }): AuditDetail =>
  Record.filterMap(query as Readonly<Record<string, string | number | undefined>>, Option.fromNullable)

/** Answers `AuditRpcs` from the audit; each reading of it leaves a row, before it is answered. */
export const layer = AuditRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const audit = yield* Audit.Audit
  const trail = yield* AuditTrail.AuditTrail
  const checkpoints = yield* Checkpoints.Checkpoints
  const listing = failAs(ListAudit.errorSchema)
  const verifying = failAs(VerifyAudit.errorSchema)
  const exporting = failAs(ExportAudit.errorSchema)
  const rotating = failAs(RotateAuditKey.errorSchema)
  const pruning = failAs(PruneAudit.errorSchema)

  const noted = (action: string, outcome: "ok" | "failed", reason: string | null, detail: AuditDetail) =>
    Effect.flatMap(
      Caller,
      ({ actor }) => audit.record({ actor, action, target: null, runId: null, outcome, reason, detail })
    )

  return {
    "audit.list": ({ limit, ...query }) =>
      listing(Effect.gen(function*() {
        const { reach } = yield* Caller
        yield* noted("audit.list", "ok", null, given(query))
        return yield* audit.list({ ...query, limit, reach })
      })),

    "audit.verify": () =>
      Effect.gen(function*() {
        const found = yield* trail.verify
        const { problem, rows, signedThroughId } = found
        yield* problem === null
          ? noted("audit.verify", "ok", null, { rows, signedThroughId })
          : noted("audit.verify", "failed", problem.detail, { kind: problem.kind, id: problem.id, n: problem.n })
        return { ...found, publicKey: yield* checkpoints.publicKey }
      }).pipe(verifying),

    "audit.export": ({ cursor, format, ...filter }) =>
      Effect.gen(function*() {
        const at = cursor === undefined ? {} : { ...cursor.after, throughId: cursor.throughId }
        yield* noted("audit.export", "ok", null, { ...given(filter), format, ...at })
        return yield* trail.exportPage({ format, filter, cursor })
      }).pipe(exporting),

    "audit.rotateKey": () =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        const rotated = yield* checkpoints.rotateKey(actor)
        return { ...rotated, publicKey: yield* checkpoints.publicKey }
      }).pipe(rotating),

    "audit.prune": ({ olderThanMs }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        return yield* checkpoints.prune(Duration.millis(olderThanMs), actor)
      }).pipe(pruning)
  }
}))
