import { Schema } from "effect"
import { Actor, auditedOperation, TimestampMs } from "../model/index.ts"

const NullableString = Schema.NullOr(Schema.String)

/** One operation to be remembered. */
export const AuditEntry = Schema.Struct({
  atMs: TimestampMs,
  actor: Actor,
  ...auditedOperation,
  /** The organization and project it happened in; unless given, the organization that the actor acts for. */
  orgId: Schema.optional(NullableString),
  projectId: Schema.optional(NullableString),
  /** Revision of the workflow module concerned. */
  moduleRevision: Schema.optional(NullableString)
})
/** Request and trace come with the actor, where a request is served. */
export type AuditEntry = Omit<typeof AuditEntry.Type, "actor"> & { readonly actor: Actor }
