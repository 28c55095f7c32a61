import { Schema } from "effect"
import { Metadata } from "./Fields.ts"

/**
 * One row of an organization's own audit.
 *
 * `hash` is SHA-256 (hex) over the hash of the organization's row before it (nothing for the first), a line feed, and the
 * JSON array of orgId, projectId, actorId, action, targetType, targetId, occurredAtMs and the text of the metadata.
 */
export const OrgAuditEvent = Schema.Struct({
  id: Schema.Int,
  orgId: Schema.String,
  projectId: Schema.NullOr(Schema.String),
  actorId: Schema.NullOr(Schema.String),
  action: Schema.String,
  targetType: Schema.String,
  targetId: Schema.NullOr(Schema.String),
  occurredAtMs: Schema.Int,
  metadata: Metadata,
  hash: Schema.String
})
export type OrgAuditEvent = typeof OrgAuditEvent.Type
