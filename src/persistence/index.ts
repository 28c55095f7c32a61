/**
 * **Persistence**: one SQLite file, one writer, one reader.
 *
 *     write(unit) ──► queue (bounded) ──► [tick] ──► BEGIN · units · COMMIT ──► hooks in commit order ──► callers resume
 *                          ▲                             │
 *                          │                             ├─ a unit fails: ROLLBACK, again with one SAVEPOINT a unit
 *                          │                             ├─ that is not enough (full disk, deferred constraint):
 *                          ├─────────────────────────────┘  ROLLBACK, the units one by one
 *                          └─ 20 ms are over: COMMIT what is done, the others come first in the next batch
 *
 * Somebody else's write lock is waited for (25 ms at a time, 5 s in all), then the batch fails as `Busy`. `migrate` runs
 * between two batches. Reads go past all of this on a connection of their own.
 *
 *     open:     lock ─► unfinished restore? finish it ─► ours, and not newer? ─► pragmas set and read back ─► serve
 *     backup:   pinned snapshot ─► copy ─► check ─► hash ─► rename ─► manifest
 *     restore:  lock ─► stage ─► check ─► smithers.db.restored ══ point of no return ══► old log removed ─► smithers.db
 */
export * as Backup from "./Backup.ts"
export { BackupError } from "./BackupError.ts"
export * as Migrations from "./Migrations.ts"
export * as Persistence from "./Persistence.ts"
export * as PersistenceConfig from "./PersistenceConfig.ts"
export { PersistenceError, StartRefused } from "./PersistenceError.ts"
export * as Texts from "./Texts.ts"
export * as Write from "./Write.ts"
