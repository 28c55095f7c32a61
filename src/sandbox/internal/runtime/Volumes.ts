// @effect-diagnostics nodeBuiltinImport:off -- where an open descriptor leads is known to /proc alone
import { Effect, type Scope } from "effect"
import { readlinkSync, realpathSync } from "node:fs"
import { PolicyInvalid } from "../../RuntimeError.ts"
import type { SandboxPolicy } from "../../SandboxPolicy.ts"
import { openPath } from "./Descriptor.ts"

/** Places of the sandbox that are not for volumes. */
const reserved = [
  "",
  "usr",
  "bin",
  "sbin",
  "lib",
  "lib32",
  "lib64",
  "libx32",
  "etc",
  "proc",
  "sys",
  "dev",
  "run",
  "tmp"
]

const below = (path: string, root: string) => path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`)

/** Opens what the volumes name, after judging where it really is. */
export const openVolumes = (
  { volumes }: SandboxPolicy,
  roots: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<number>, PolicyInvalid, Scope.Scope> =>
  Effect.forEach(volumes, ({ source, target }, i) => {
    const invalid = (member: string, bound: string) => new PolicyInvalid({ field: `volumes.${i}.${member}`, bound })
    const top = target.split("/").filter((part) => part !== "")[0] ?? ""
    if (reserved.includes(top) || top === "workspace") {
      return invalid("target", "must not lie in a directory that the sandbox has anyway")
    }
    return openPath(source).pipe(
      Effect.tap((descriptor) =>
        Effect.filterOrFail(
          Effect.try(() => {
            const real = readlinkSync(`/proc/self/fd/${descriptor}`)
            return roots.some((root) => below(real, realpathSync(root)))
          }),
          (within) => within,
          () => "outside"
        )
      ),
      Effect.mapError(() =>
        invalid("source", "must exist and lie within one of the directories of SMITHERS_SANDBOX_VOLUME_ROOTS")
      )
    )
  })
