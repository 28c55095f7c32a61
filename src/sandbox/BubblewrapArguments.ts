import type { OwnCode } from "./internal/runtime/OwnCode.ts"
import { relayPort } from "./internal/runtime/Relay.ts"
import type { Skeleton } from "./internal/runtime/Skeleton.ts"
import { type Limits, limitsOf, type SandboxPolicy } from "./SandboxPolicy.ts"

/** Descriptors that a sandbox is started with, beyond the three of every process. None of them reaches the command. */
export const descriptors = {
  /** The options of bwrap, so that nobody reads the environment of the sandbox off its command line. */
  options: 3,
  filter: 4,
  status: 5,
  /** Says `r` when the sandbox stands, and goes on when it is answered. */
  control: 6,
  /** The workspace as a tar archive. */
  archive: 7,
  /** The first volume's. */
  volumes: 8
} as const

/** User and group of the command as it sees itself. */
const sandboxId = "1000"

const proxySocket = "/run/smithers/egress.sock"
/** Where a sandbox finds the node of this service, if it needs one. */
export const nodeBinary = "/run/smithers/node"
const relayScript = "/run/smithers/relay.mjs"

/** `/dev/shm` and the like, whatever the policy says. */
const maxSharedMemory = 67_108_864

/** The environment that every command has; what the task names comes after it. */
const environmentOf = (networked: boolean): Readonly<Record<string, string>> => {
  const proxy = `http://127.0.0.1:${relayPort}`
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: "/tmp",
    LANG: "C.UTF-8",
    ...(networked
      ? { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy, NO_PROXY: "", no_proxy: "" }
      : {})
  }
}

/** All options of bwrap for a policy, in the order in which it obeys them. */
export const bubblewrapOptions = (options: {
  readonly policy: SandboxPolicy
  readonly env: Readonly<Record<string, string>>
  readonly skeleton: Skeleton
  /** The socket of a proxy: the way out, by the relay, which node runs. */
  readonly egress: string | undefined
  readonly node: string | undefined
  readonly ownCode: ReadonlyArray<OwnCode>
}): ReadonlyArray<string> => {
  const { egress, env, node, ownCode, policy, skeleton } = options
  const { diskLimit } = limitsOf(policy)
  const bytes = String(diskLimit)
  const fd = (descriptor: number) => String(descriptor)
  return [
    ...["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"],
    ...["--disable-userns", "--uid", sandboxId, "--gid", sandboxId, "--hostname", "sandbox"],
    ...["--new-session", "--die-with-parent", "--cap-drop", "ALL"],
    ...["--seccomp", fd(descriptors.filter), "--json-status-fd", fd(descriptors.status)],
    ...["--ro-bind", "/usr", "/usr", ...skeleton.system],
    ...["--ro-bind", skeleton.etc, "/etc"],
    ...skeleton.shared.flatMap((name) => ["--ro-bind", `/etc/${name}`, `/etc/${name}`]),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--size", String(Math.min(diskLimit, maxSharedMemory)), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ...["--size", bytes, "--tmpfs", "/tmp", "--size", bytes, "--tmpfs", "/workspace"],
    ...(egress === undefined ? [] : ["--bind", egress, proxySocket, "--ro-bind", skeleton.relay, relayScript]),
    ...(node === undefined ? [] : ["--ro-bind", node, nodeBinary]),
    ...policy.volumes.flatMap(({ target }, i) => ["--ro-bind-fd", fd(descriptors.volumes + i), target]),
    ...ownCode.flatMap(({ source, target }) => ["--ro-bind", source, target]),
    // Its own root is a tmpfs without a bound.
    ...["--remount-ro", "/", "--chdir", "/workspace", "--clearenv"],
    ...Object.entries({ ...environmentOf(egress !== undefined), ...env }).flatMap((
      [name, value]
    ) => ["--setenv", name, value])
  ]
}

/** Processes and threads of a sandbox that are not the command's: bwrap's own, and those of the relay. */
const ownProcesses = (networked: boolean) => networked ? 17 : 1

const limitOptions = (limits: Limits, networked: boolean): string =>
  Object.entries({
    // What a process may hold by itself; together they are watched.
    data: limits.memoryLimit,
    // Counted per user of a user namespace (Linux 5.14), so per sandbox.
    nproc: limits.pidsLimit + ownProcesses(networked),
    fsize: limits.fileSize,
    nofile: limits.openFiles,
    core: 0,
    memlock: 65_536
  }).map(([name, value]) => `--${name}=${value}`).join(" ")

/**
 * What runs first in a sandbox: unpacks the workspace, starts the relay, says that it stands, waits for the word to go,
 * takes on the limits and becomes the command (its arguments).
 */
export const initScript = (policy: SandboxPolicy, networked: boolean): string => {
  const { archive, control } = descriptors
  const ready = networked
    // Twice in the background, so that it is no child of the command, which may wait for all it has.
    ? `( { /usr/bin/env -i ${nodeBinary} ${relayScript} ${relayPort} ${proxySocket} ${control} </dev/null >/dev/null 2>&1 || printf x >&${control}; } & )`
    : `printf r >&${control}`
  return [
    `/usr/bin/tar -xf - -C /workspace <&${archive} || exit 125`,
    `exec ${archive}<&-`,
    ready,
    `read -r go <&${control} || exit 125`,
    `exec ${control}<&-`,
    `exec /usr/bin/prlimit ${limitOptions(limitsOf(policy), networked)} -- "$@"`
  ].join("\n")
}
