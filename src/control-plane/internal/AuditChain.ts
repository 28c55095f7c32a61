import { createHash } from "node:crypto"
import { Write } from "../../persistence/index.ts"
import type { OrgAuditEvent } from "../OrgAuditEvent.ts"

/** What binds a row to the one before it. */
export const hashOf = (
  before: string,
  { action, actorId, occurredAtMs, orgId, projectId, targetId, targetType }: Omit<
    OrgAuditEvent,
    "id" | "hash" | "metadata"
  >,
  metadataText: string
): string =>
  createHash("sha256").update(
    `${before}\n${
      JSON.stringify([orgId, projectId, actorId, action, targetType, targetId, occurredAtMs, metadataText])
    }`
  ).digest("hex")

const lastHashText = "SELECT hash FROM _smithers_cp_audit_events WHERE org_id = ? ORDER BY id DESC LIMIT 1"

const insertText = `INSERT INTO _smithers_cp_audit_events
  (org_id, project_id, actor_id, action, target_type, target_id, occurred_at_ms, metadata_json, hash)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const insertedText = "SELECT id, hash FROM _smithers_cp_audit_events WHERE id = last_insert_rowid()"

/** The row as a unit; its organization is there. */
export const append = (event: Omit<OrgAuditEvent, "id" | "hash">): Write.Write<OrgAuditEvent> => {
  const metadataText = JSON.stringify(event.metadata)
  const { action, actorId, occurredAtMs, orgId, projectId, targetId, targetType } = event
  return Write.all([
    Write.rows(lastHashText, [orgId]).pipe(Write.next(insertText, ([last]) => [
      orgId,
      projectId,
      actorId,
      action,
      targetType,
      targetId,
      occurredAtMs,
      metadataText,
      hashOf(last === undefined ? "" : String(last["hash"]), event, metadataText)
    ])),
    Write.rows(insertedText, [])
  ]).pipe(Write.map(([, [row]]) => ({ id: Number(row?.["id"]), ...event, hash: String(row?.["hash"]) })))
}
