import { limitsOf, type SandboxPolicy } from "./SandboxPolicy.ts"

/** `/tmp` of a container: in memory, whatever the policy says. */
const scratchBytes = 67_108_864

/** The arguments of `docker create`, which `podman create` understands as well, for a policy. */
export const containerArguments = (options: {
  readonly name: string
  readonly image: string
  readonly policy: SandboxPolicy
  readonly workspace: string
  /** Owner of the workspace, as whom the command runs. */
  readonly user: { readonly uid: number; readonly gid: number }
  /** `NAME=value` lines; the command line would show them to every user of the host. */
  readonly environmentFile: string
  readonly command: ReadonlyArray<string>
}): ReadonlyArray<string> => {
  const { command, environmentFile, image, name, policy, user, workspace } = options
  const limits = limitsOf(policy)
  return [
    ...["create", "--interactive", "--name", name, "--pull", "never", "--init"],
    ...["--network", "none", "--hostname", "sandbox", "--ipc", "private"],
    ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...["--user", `${user.uid}:${user.gid}`],
    ...["--pids-limit", String(limits.pidsLimit)],
    // Without swap beyond it.
    ...["--memory", String(limits.memoryLimit), "--memory-swap", String(limits.memoryLimit)],
    ...(policy.cpuLimit === undefined ? [] : ["--cpus", String(policy.cpuLimit)]),
    ...["--ulimit", `nofile=${limits.openFiles}:${limits.openFiles}`],
    ...["--ulimit", `fsize=${limits.fileSize}:${limits.fileSize}`, "--ulimit", "core=0:0"],
    ...["--tmpfs", `/tmp:rw,nosuid,nodev,size=${scratchBytes}`],
    ...["--mount", mount(workspace, "/workspace", false), "--workdir", "/workspace"],
    ...policy.volumes.flatMap(({ source, target }) => ["--mount", mount(source, target, true)]),
    ...["--env", "HOME=/tmp", "--env-file", environmentFile],
    image,
    ...command
  ]
}

/** A field of CSV, in which a comma of a path would start another option. */
const field = (text: string) => /[",\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text

const mount = (source: string, target: string, readOnly: boolean) =>
  [
    "type=bind",
    field(`source=${source}`),
    field(`target=${target}`),
    ...(readOnly ? ["readonly"] : [])
  ].join(",")
