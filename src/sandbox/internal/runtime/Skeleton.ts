import { FileSystem, Path } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Effect, Option } from "effect"
import { portProgram } from "./PortForward.ts"
import { relayProgram } from "./Relay.ts"
import { seccompFilter } from "./SeccompFilter.ts"
import type { Architecture } from "./Syscalls.ts"

/** What every sandbox gets besides the system's programs, as files of ours. */
export interface Skeleton {
  /** The directory that becomes `/etc`. */
  readonly etc: string
  /** Directories of the host's `/etc` that are mounted into it: what programs need that says nothing about the host. */
  readonly shared: ReadonlyArray<string>
  /** Options for bwrap that make `/bin`, `/lib` and so on what they are on the host. */
  readonly system: ReadonlyArray<string>
  readonly relay: string
  readonly ports: string
  /** This program, where the user of a sandbox can reach it. */
  readonly node: Effect.Effect<string, PlatformError>
  readonly filter: string
  /** The filter for processes that may not choose their cores. */
  readonly pinnedFilter: string
}

const etcFiles: Readonly<Record<string, string>> = {
  passwd: "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nsandbox:x:1000:1000::/tmp:/bin/sh\n",
  group: "root:x:0:\nsandbox:x:1000:\n",
  hosts: "127.0.0.1 localhost\n::1 localhost\n",
  hostname: "sandbox\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "resolv.conf": ""
}

const sharedInEtc = ["alternatives", "ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted"]

const systemDirectories = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]

/** Written once for all sandboxes, removed with the scope. */
export const makeSkeleton = (architecture: Architecture, program: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* fs.makeTempDirectoryScoped({ prefix: "smithers-sandbox-" })
    // The users of sandboxes go through here; there is nothing to hide.
    yield* fs.chmod(root, 0o755)
    const etc = path.join(root, "etc")
    yield* fs.makeDirectory(etc)
    yield* Effect.forEach(Object.entries(etcFiles), ([name, text]) => fs.writeFileString(path.join(etc, name), text))
    yield* Effect.ignore(fs.copyFile("/etc/ld.so.cache", path.join(etc, "ld.so.cache")))
    const shared = yield* Effect.filter(sharedInEtc, (name) =>
      Effect.orElseSucceed(fs.exists(`/etc/${name}`), () => false))
    yield* Effect.forEach(shared, (name) =>
      fs.makeDirectory(path.join(etc, name), { recursive: true }))
    const system = yield* Effect.forEach(systemDirectories, (directory) =>
      Effect.gen(function*() {
        const target = yield* Effect.option(fs.readLink(directory))
        if (Option.isSome(target)) return ["--symlink", target.value, directory]
        const exists = yield* Effect.orElseSucceed(fs.exists(directory), () => false)
        return exists ? ["--ro-bind", directory, directory] : []
      }))
    const relay = path.join(root, "relay.mjs")
    yield* fs.writeFileString(relay, relayProgram)
    const ports = path.join(root, "ports.mjs")
    yield* fs.writeFileString(ports, portProgram)
    const [filter, pinnedFilter] = [path.join(root, "filter"), path.join(root, "pinned-filter")]
    yield* fs.writeFile(filter, seccompFilter(architecture, { pinned: false }))
    yield* fs.writeFile(pinnedFilter, seccompFilter(architecture, { pinned: true }))
    // Somebody's home directory, where version managers put it, is closed to other users.
    const node = yield* Effect.cached(
      program.startsWith("/usr/")
        ? Effect.succeed(program)
        : Effect.as(fs.copyFile(program, path.join(root, "node")), path.join(root, "node"))
    )
    const skeleton: Skeleton = { etc, shared, system: system.flat(), relay, ports, node, filter, pinnedFilter }
    return skeleton
  })
