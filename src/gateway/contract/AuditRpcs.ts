import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import {
  AuditCursor,
  AuditFilter,
  AuditFormat,
  AuditPage,
  AuditRecord,
  AuditVerification,
  Bounds
} from "../../model/index.ts"
import { AdminOnly, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const Id = Schema.Int.pipe(Schema.nonNegative())

/** Newest first; `afterId` is the last row of the page before. */
export const ListAudit = Rpc.make("audit.list", {
  payload: Schema.Struct({
    ...AuditFilter.fields,
    afterId: Schema.optional(Id),
    limit: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, Bounds.pageRows)), { default: () => 100 })
  }),
  success: Schema.Array(AuditRecord),
  error: failures()
}).annotate(ForTenants, "own")

/** Examines every row and checkpoint; what is wrong is the answer, not a failure. */
export const VerifyAudit = Rpc.make("audit.verify", {
  payload: {},
  success: Schema.Struct({
    ...AuditVerification.fields,
    /** The key that signs now (SPKI, PEM), for verifying exports elsewhere. */
    publicKey: Schema.String
  }),
  error: failures()
})

/** A part of an export; without a cursor the beginning, which signs a checkpoint. */
export const ExportAudit = Rpc.make("audit.export", {
  payload: Schema.Struct({
    ...AuditFilter.fields,
    format: Schema.optionalWith(AuditFormat, { default: () => "ndjson" as const }),
    cursor: Schema.optional(AuditCursor)
  }),
  success: AuditPage,
  error: failures()
})

/** Replaces the key that signs; the old one signs the new one. */
export const RotateAuditKey = Rpc.make("audit.rotateKey", {
  payload: {},
  success: Schema.Struct({ keyId: Schema.String, previousKeyId: Schema.String, publicKey: Schema.String }),
  error: failures()
}).annotate(AdminOnly, true)

/** Seals and removes rows older than so many milliseconds, at least 30 days. */
export const PruneAudit = Rpc.make("audit.prune", {
  payload: { olderThanMs: Id },
  success: Schema.Struct({ rows: Schema.Int, throughId: Schema.Int }),
  error: failures()
}).annotate(AdminOnly, true)

/** Who did what; ours. Reading needs `run:admin`, or a grant of `audit.*` for an auditor who may do nothing else. */
export const AuditRpcs = RpcGroup.make(ListAudit, VerifyAudit, ExportAudit, RotateAuditKey, PruneAudit)
  .annotateRpcs(RequiredScope, "run:admin")
