/**
 * **Persistence**: one SQLite file, one writer, one reader.
 *
 *     write(unit) ──► queue (bounded) ──► [tick] ──► BEGIN · units · COMMIT ──► hooks in commit order ──► callers resume
 *                                            │
 *                                            └─ a unit fails: ROLLBACK, repeat with one SAVEPOINT a unit
 */
export * as Backup from "./Backup.ts"
export { BackupError } from "./BackupError.ts"
export * as Migrations from "./Migrations.ts"
export * as Persistence from "./Persistence.ts"
export * as PersistenceConfig from "./PersistenceConfig.ts"
export { PersistenceError, StartRefused } from "./PersistenceError.ts"
export * as Write from "./Write.ts"
