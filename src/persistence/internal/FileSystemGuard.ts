// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform's FileSystem has no statfs
import { Effect } from "effect"
import { statfs } from "node:fs/promises"
import { StartRefused } from "../PersistenceError.ts"

/** Magic numbers of file systems that several machines can mount, where WAL's shared memory does not work (statfs(2), Linux). */
const networkFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x19830326, "BeeGFS"],
  [0x01021997, "9p"]
])

/**
 * The name of the network file system with this magic number, if it is one.
 *
 * @internal
 */
export const networkFileSystemName = (type: number): string | undefined => networkFileSystems.get(type >>> 0)

/** Refuses a home on a network file system: two machines would not see each other's WAL index. */
export const checkFileSystem = (home: string, type: number): Effect.Effect<void, StartRefused> => {
  const name = networkFileSystemName(type)
  return name === undefined
    ? Effect.void
    : new StartRefused({
      reason: "NetworkFileSystem",
      detail: `${home} lies on ${name}, where SQLite's WAL can corrupt the database.`,
      fix: "Use a local disk, or set SMITHERS_ALLOW_NETWORK_FS=true to take the risk."
    })
}

/** The file system type of a directory as statfs(2) gives it. */
export const fileSystemType = (home: string): Effect.Effect<number, StartRefused> =>
  Effect.tryPromise({
    try: () => statfs(home),
    catch: (cause) =>
      new StartRefused({
        reason: "Open",
        detail: `Cannot inspect the file system of ${home}: ${cause instanceof Error ? cause.message : String(cause)}.`,
        fix: "Check the path and its permissions."
      })
  }).pipe(Effect.map((stats) => stats.type))
