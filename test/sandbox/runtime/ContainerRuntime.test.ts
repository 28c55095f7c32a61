import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import fsSync from "node:fs"
import { containerArguments } from "../../../src/sandbox/ContainerArguments.ts"
import * as ContainerRuntime from "../../../src/sandbox/ContainerRuntime.ts"
import * as RuntimeConfig from "../../../src/sandbox/RuntimeConfig.ts"
import { type Input, parse } from "../../../src/sandbox/SandboxPolicy.ts"
import { run, Sandboxes } from "./support.ts"

// No engine is at hand. Its arguments are looked at as data, and the life of a container is played through with a stand-in
// that keeps books of what it was told and runs the command without confining it. What a real engine enforces is for the
// probe to say wherever there is one.

const argumentsFor = (policy: Input) =>
  Effect.map(parse(policy), (parsed) =>
    containerArguments({
      name: "smithers-1",
      image: "debian:12",
      policy: parsed,
      workspace: "/home/a,b",
      user: { uid: 501, gid: 20 },
      environmentFile: "/tmp/env",
      command: ["sh", "-c", "--network host"]
    }))

const after = (all: ReadonlyArray<string>, option: string) =>
  all.flatMap((value, i) => value === option ? [all[i + 1]] : [])

describe("the arguments of a container", () => {
  it.effect("close everything that can be closed", () =>
    Effect.map(argumentsFor({}), (all) => {
      assert.deepStrictEqual(after(all, "--network"), ["none"])
      assert.deepStrictEqual(after(all, "--cap-drop"), ["ALL"])
      assert.deepStrictEqual(after(all, "--security-opt"), ["no-new-privileges"])
      assert.deepStrictEqual(after(all, "--user"), ["501:20"])
      assert.deepStrictEqual(after(all, "--pull"), ["never"])
      assert.include(all, "--read-only")
      assert.notInclude(all.join(" "), "privileged=")
      assert.notInclude(all, "--cap-add")
    }))

  it.effect("carry every limit, and memory without swap beyond it", () =>
    Effect.map(
      argumentsFor({ memoryLimit: "64m", cpuLimit: 0.5, pidsLimit: 7, openFiles: 99, fileSize: "1m" }),
      (all) => {
        assert.deepStrictEqual(after(all, "--memory"), ["67108864"])
        assert.deepStrictEqual(after(all, "--memory-swap"), ["67108864"])
        assert.deepStrictEqual(after(all, "--cpus"), ["0.5"])
        assert.deepStrictEqual(after(all, "--pids-limit"), ["7"])
        assert.sameMembers(after(all, "--ulimit"), ["nofile=99:99", "fsize=1048576:1048576", "core=0:0"])
      }
    ))

  it.effect("keep a path with a comma one path, and volumes readable only", () =>
    Effect.map(argumentsFor({ volumes: [{ source: "/data", target: "/mnt" }] }), (all) => {
      assert.deepStrictEqual(after(all, "--mount"), [
        `type=bind,"source=/home/a,b",target=/workspace`,
        "type=bind,source=/data,target=/mnt,readonly"
      ])
    }))

  it.effect("end with the image and the command, which cannot be taken for options", () =>
    Effect.map(
      argumentsFor({}),
      (all) => assert.deepStrictEqual(all.slice(-4), ["debian:12", "sh", "-c", "--network host"])
    ))
})

/** A stand-in for an engine: books in `log`, containers as files, no isolation whatever. */
const standIn = `#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$*" >> "$here/log"
case "$1" in
  info) [ -e "$here/down" ] && { echo "Cannot connect to the daemon" >&2; exit 1; }; echo ok ;;
  create)
    while [ $# -gt 0 ]; do
      case "$1" in
        --name) name=$2 ;;
        --mount) case "$2" in *target=/workspace*) ws=\${2#type=bind,source=}; ws=\${ws%,target=/workspace} ;; esac ;;
        --env-file) cp "$2" "$here/$name.env" ;;
        test-image) shift; break ;;
        absent-image) echo "No such image" >&2; exit 125 ;;
      esac
      shift
    done
    printf '%s' "$ws" > "$here/$name.ws"
    for a in "$@"; do printf '%s\\0' "$a"; done > "$here/$name.cmd" ;;
  start)
    name=$4; cd "$(cat "$here/$name.ws")" || exit 125
    set -a; . "$here/$name.env"; set +a
    xargs -0 -a "$here/$name.cmd" setsid sh -c 'echo $$ > '"$here/$name.pid"'; exec "$@"' sh
    ;;
  kill) kill -9 -"$(cat "$here/$2.pid")"; echo 137 > "$here/$2.code" ;;
  inspect) echo "false $(cat "$here/$4.code" 2>/dev/null || echo 0)" ;;
  rm) [ -e "$here/$3.pid" ] && kill -9 -"$(cat "$here/$3.pid")" 2>/dev/null; rm -f "$here/$3."* ;;
esac
`

/** Where the stand-in keeps its books. */
class Books
  extends Context.Tag("smithers-orchestrator/test/sandbox/runtime/ContainerRuntime.test/Books")<Books, string>()
{}

const engine = Layer.unwrapScoped(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  yield* fs.writeFileString(`${directory}/docker`, standIn, { mode: 0o755 })
  return Layer.scoped(Sandboxes, ContainerRuntime.make("docker")).pipe(
    Layer.provide(Layer.succeed(RuntimeConfig.RuntimeConfig, {
      ...RuntimeConfig.defaults,
      engines: { docker: `${directory}/docker`, podman: "/nowhere/podman" }
    })),
    Layer.provideMerge(Layer.succeed(Books, directory))
  )
})).pipe(Layer.provideMerge(NodeContext.layer))

const log = Effect.map(Books, (directory) => fsSync.readFileSync(`${directory}/log`, "utf8").trim().split("\n"))
const policy = { image: "test-image" }

describe("a container engine", () => {
  it.effect("that is not installed is unavailable", () =>
    Effect.gen(function*() {
      const podman = yield* ContainerRuntime.make("podman")
      const error = yield* Effect.flip(podman.check)
      assert.strictEqual(error.reason, "NotWorking")
    }).pipe(
      Effect.provideService(RuntimeConfig.RuntimeConfig, {
        ...RuntimeConfig.defaults,
        engines: { docker: "/nowhere/docker", podman: "/nowhere/podman" }
      }),
      Effect.provide(NodeContext.layer)
    ))

  it.effect("that does not answer is unavailable, and nothing is run", () =>
    Effect.gen(function*() {
      fsSync.writeFileSync(`${yield* Books}/down`, "")
      const error = yield* Effect.flip(run("true", { policy }))
      assert(error._tag === "RuntimeUnavailable")
      assert.include(error.detail, "Cannot connect to the daemon")
      assert.deepStrictEqual(yield* log, ["info"])
    }).pipe(Effect.provide(engine)))

  it.effect("runs a command in the workspace and removes the container", () =>
    Effect.gen(function*() {
      const { exitCode, reason, stdout } = yield* run("echo $A; pwd | grep -c tmp", { policy, env: { A: "1" } })
      assert.strictEqual(stdout, "1\n1\n")
      assert.strictEqual(exitCode, 0)
      assert.strictEqual(reason, "exited")
      assert.deepStrictEqual((yield* log).map((line) => line.split(" ")[0]), [
        "info",
        "create",
        "start",
        "inspect",
        "rm"
      ])
      assert.notInclude((yield* log).join("\n"), "A=1")
    }).pipe(Effect.provide(engine)))

  it.effect("kills the container at the bound of output, and removes it", () =>
    Effect.gen(function*() {
      const { reason } = yield* run("yes", { policy: { ...policy, maxOutputBytes: 1_000 } })
      assert.strictEqual(reason, "output")
      assert.deepStrictEqual((yield* log).map((line) => line.split(" ")[0]), [
        "info",
        "create",
        "start",
        "kill",
        "inspect",
        "rm"
      ])
    }).pipe(Effect.provide(engine)))

  it.effect("without the image is a typed failure, and nothing is pulled", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(run("true", { policy: { image: "absent-image" } }))
      assert.include(error.message, "No such image")
    }).pipe(Effect.provide(engine)))

  for (
    const [what, asked, field] of [
      ["no image", { policy: {} }, "image"],
      ["a variable of several lines", { policy, env: { A: "1\n2" } }, "env.A"]
    ] as const
  ) {
    it.effect(`refuses a request with ${what}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(run("true", asked))
        assert(error._tag === "PolicyInvalid")
        assert.strictEqual(error.field, field)
      }).pipe(Effect.provide(engine)))
  }

  for (
    const [control, extra] of [
      ["allowNetwork", { allowNetwork: true }],
      ["allowNetwork", { allowNetwork: { hosts: ["example.com"] } }],
      ["ports", { ports: [{ host: 1_024, sandbox: 80 }] }],
      ["diskLimit", { diskLimit: "1g" }]
    ] as const
  ) {
    it.effect(`refuses a policy that asks for ${JSON.stringify(extra)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(run("true", { policy: { ...policy, ...extra } }))
        assert(error._tag === "ControlNotEnforced")
        assert.strictEqual(error.control, control)
      }).pipe(Effect.provide(engine)))
  }
})
