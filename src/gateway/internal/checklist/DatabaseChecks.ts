import { FileSystem, Path } from "@effect/platform"
import { Effect, Option } from "effect"
import { Audit } from "../../../audit/index.ts"
import { Persistence, PersistenceConfig, Write } from "../../../persistence/index.ts"
import { dayMs, days, finding, makeLast } from "./Findings.ts"

const walBytes = 512 * 1_048_576
const backupMs = 2 * dayMs
const verifiedMs = 7 * dayMs
const drillMs = 30 * dayMs

/** Whether what was committed stays: durability, file system, log, references, backups. */
export const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const settings = Option.getOrUndefined(yield* Effect.serviceOption(PersistenceConfig.PersistenceConfig))
  const last = makeLast(yield* Audit.Audit)
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  const durability = Effect.sync(() => {
    const why = "A commit that was acknowledged must survive a power cut."
    const fix = "Unset SMITHERS_SYNCHRONOUS, or set it to full."
    if (settings === undefined) return finding("durability", why, "unknown", "The setting is not known here.", fix)
    const { synchronous } = settings
    return synchronous === "full"
      ? finding("durability", why, "ok", "synchronous=FULL, read back after the first statement.", fix, { synchronous })
      : finding("durability", why, "failed", "A power cut may drop acknowledged commits.", fix, { synchronous })
  })

  const fileSystem = Effect.sync(() => {
    const why = "On a file system that several machines can mount, the write-ahead log can corrupt the database."
    const fix = "Move the home to a local disk and unset SMITHERS_ALLOW_NETWORK_FS."
    const { home } = persistence
    if (settings === undefined) return finding("file-system", why, "unknown", "The setting is not known here.", fix)
    return settings.allowNetworkFileSystem
      ? finding("file-system", why, "warning", "A network file system would be accepted: nobody has looked.", fix, {
        home
      })
      : finding("file-system", why, "ok", "No network file system, as the start has found.", fix, { home })
  })

  const journalMode = Effect.gen(function*() {
    const [row] = yield* persistence.read("PRAGMA journal_mode", [])
    const wal = yield* Effect.orElseSucceed(
      Effect.map(fs.stat(`${persistence.file}-wal`), ({ size }) => Number(size)),
      () => 0
    )
    const evidence = { journalMode: row?.["journal_mode"], walBytes: wal, file: persistence.file }
    const why = "Readers must not hold writers up, and the log must not fill the disk."
    const fix = "Look for a reader that never ends; see `smithers_persistence_wal_bytes`."
    return row?.["journal_mode"] === "wal" && wal <= walBytes
      ? finding("wal", why, "ok", `WAL, ${wal} bytes.`, fix, evidence)
      : finding("wal", why, "failed", `journal_mode ${String(row?.["journal_mode"])}, ${wal} bytes.`, fix, evidence)
  })

  const foreignKeys = Effect.gen(function*() {
    // It is a property of a connection: of the one that writes.
    const [row] = yield* persistence.write(Write.rows("PRAGMA foreign_keys", []))
    const on = row?.["foreign_keys"] === 1
    const why = "What hangs on a run or an organization must go with it, and never stand alone."
    const fix = "Restart the service: a start with foreign keys off is refused."
    return finding("foreign-keys", why, on ? "ok" : "failed", `foreign_keys is ${on ? "on" : "off"}.`, fix)
  })

  const backups = Effect.gen(function*() {
    const folder = path.join(persistence.home, "backups")
    const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), () => [])
    const newest = names.filter((name) => name.endsWith(".manifest.json")).sort().at(-1)
    const made = yield* last("backup.create", { ok: true })
    const why = "What is not backed up is lost with its disk."
    const fix = "Run `smithers backup create` from a timer, and keep copies elsewhere."
    const evidence = { folder, newest: newest ?? null, recordedAtMs: made?.atMs ?? null }
    if (made === undefined) return finding("backup.age", why, "failed", "No backup is recorded.", fix, evidence)
    const what = `The last backup is ${days(made.ageMs)} old.`
    return finding("backup.age", why, made.ageMs <= backupMs ? "ok" : "failed", what, fix, evidence)
  })

  const verified = Effect.gen(function*() {
    const why = "A backup that cannot be read is none."
    const fix = "Run `smithers backup verify` on what lies elsewhere; here `smithers backup drill` does it, too."
    const looked = [yield* last("backup.verify"), yield* last("backup.drill")]
      .flatMap((row) => row === undefined ? [] : [row])
      .sort((a, b) => b.id - a.id)[0]
    if (looked === undefined) return finding("backup.verified", why, "failed", "No backup was ever verified.", fix)
    const evidence = { atMs: looked.atMs, backup: looked.target }
    if (looked.outcome !== "ok") {
      return finding("backup.verified", why, "failed", `The last one did not verify: ${looked.reason}`, fix, evidence)
    }
    const what = `A backup was verified ${days(looked.ageMs)} ago.`
    return finding("backup.verified", why, looked.ageMs <= verifiedMs ? "ok" : "warning", what, fix, evidence)
  })

  const drilled = Effect.gen(function*() {
    const row = yield* last("backup.drill", { ok: true })
    const why = "A backup that was never restored is a hope."
    const fix = "Run `smithers backup drill`."
    if (row === undefined) return finding("backup.drill", why, "failed", "No restore drill is recorded.", fix)
    const what = `The last restore drill that went well was ${days(row.ageMs)} ago.`
    return finding("backup.drill", why, row.ageMs <= drillMs ? "ok" : "failed", what, fix, {
      atMs: row.atMs,
      backup: row.target
    })
  })

  return [durability, fileSystem, journalMode, foreignKeys, backups, verified, drilled]
})
