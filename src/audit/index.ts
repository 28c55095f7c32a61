/**
 * **Audit**: the append-only record of who did what, committed together with what was done; hash-chained and signed.
 *
 *     entry ─► Audit.append ─► row n = content, hash of row n-1, own hash ──────► same commit as what it speaks of
 *                                   │ every so many rows or minutes, empty ones too
 *     Checkpoints ─► statement (n, head id, head hash, hash of statement n-1), Ed25519 ─► database ─► file ─► AuditSink
 *                                   │
 *     AuditTrail.verify: rows against each other, rows against statements, statements against key, file and each other
 */
export type { AuditDetail } from "../model/index.ts"
export * as Audit from "./Audit.ts"
export * as AuditConfig from "./AuditConfig.ts"
export { AuditEntry } from "./AuditEntry.ts"
export { AuditUnavailable, DeliveryFailed, InvalidAuditRequest } from "./AuditError.ts"
export { AuditFeed } from "./AuditFeed.ts"
export * as AuditSink from "./AuditSink.ts"
export * as AuditTrail from "./AuditTrail.ts"
export * as Checkpoints from "./Checkpoints.ts"
export * as Deployment from "./Deployment.ts"
export { verifyExport } from "./ExportVerification.ts"
export * as Retention from "./Retention.ts"
export * as Spool from "./Spool.ts"
export { SignedStatement, Statement } from "./Statement.ts"
