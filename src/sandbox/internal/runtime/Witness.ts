// @effect-diagnostics nodeBuiltinImport:off -- /proc read at once, between the sandbox saying that it is ready and our letting it go
import { Effect } from "effect"
import { readFileSync, readlinkSync } from "node:fs"

const namespaces = ["user", "pid", "mnt", "ipc", "uts", "net", "cgroup"]

/** Lines of /proc/PID/status, proc(5), that every process of a sandbox must show. */
const expected: Readonly<Record<string, string>> = {
  NoNewPrivs: "1",
  // SECCOMP_MODE_FILTER
  Seccomp: "2",
  CapEff: "0000000000000000",
  CapPrm: "0000000000000000",
  CapInh: "0000000000000000",
  CapBnd: "0000000000000000",
  CapAmb: "0000000000000000"
}

/**
 * Looks at a process of a sandbox from outside, where it cannot lie: what the kernel says of its namespaces, capabilities,
 * privileges and filter. Gives what is not as it must be, as pairs of control and evidence.
 */
export const witness = (pid: number, userId: number): Effect.Effect<ReadonlyArray<readonly [string, string]>> =>
  Effect.try(() => {
    const status = readFileSync(`/proc/${pid}/status`, "latin1")
    const line = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1] ?? "absent"
    const shared = namespaces
      .filter((name) => readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`))
      .map((name) => [`${name} namespace`, "it is that of the host"] as const)
    const wrong = Object.entries(expected)
      .filter(([name, value]) => line(name) !== value)
      .map(([name]) => [name, `it is ${line(name)}`] as const)
    const users = new Set(line("Uid").split("\t"))
    const user = users.size === 1 && users.has(String(userId)) ? [] : [["user id", [...users].join(" ")] as const]
    return [...shared, ...wrong, ...user]
  }).pipe(Effect.orElseSucceed(() => [["witness", `process ${pid} cannot be looked at`] as const]))
