/** **Audit**: the append-only record of who did what, committed together with what was done. */
export * as Audit from "./Audit.ts"
export { AuditDetail, AuditEntry, AuditRecord } from "./AuditEntry.ts"
