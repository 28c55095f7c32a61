import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, TestClock } from "effect"
import { randomUUID } from "node:crypto"
import fs from "node:fs"
import * as ProcessRuntime from "../../../src/sandbox/ProcessRuntime.ts"
import * as RuntimeConfig from "../../../src/sandbox/RuntimeConfig.ts"
import { run, Sandboxes } from "./support.ts"

const processes = (environment: string, logger: Layer.Layer<never> = Logger.remove(Logger.defaultLogger)) =>
  Layer.effect(Sandboxes, ProcessRuntime.make).pipe(
    Layer.provide(Layer.succeed(RuntimeConfig.RuntimeConfig, { ...RuntimeConfig.defaults, environment })),
    Layer.merge(NodeContext.layer),
    Layer.merge(logger)
  )

it.effect("is refused in production", () =>
  Effect.gen(function*() {
    const { check } = yield* Sandboxes
    for (const error of [yield* Effect.flip(check), yield* Effect.flip(run("true"))]) {
      assert(error._tag === "RuntimeUnavailable")
      assert.strictEqual(error.reason, "Forbidden")
    }
  }).pipe(Effect.provide(processes("production"))))

it.effect("says loudly that nothing is isolated", () => {
  const lines: Array<string> = []
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ logLevel, message }) => lines.push(`${logLevel.label} ${String(message)}`))
  )
  return Effect.gen(function*() {
    assert.isFalse((yield* Sandboxes).isolated)
    yield* run("true")
    assert.match(lines[0]!, /^WARN .*WITHOUT ISOLATION/)
  }).pipe(Effect.provide(processes("development", logger)))
})

for (
  const [control, policy] of [
    ["memoryLimit", { memoryLimit: "1g" }],
    ["cpuLimit", { cpuLimit: 1 }],
    ["pidsLimit", { pidsLimit: 10 }],
    ["diskLimit", { diskLimit: "1g" }],
    ["openFiles", { openFiles: 100 }],
    ["allowNetwork.hosts", { allowNetwork: { hosts: ["example.com"] } }],
    ["ports", { ports: [{ host: 1_024, sandbox: 80 }] }],
    ["volumes", { volumes: [{ source: "/usr", target: "/mnt" }] }]
  ] as const
) {
  it.effect(`refuses a policy that asks for ${control}`, () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(run("true", { policy }))
      assert(error._tag === "ControlNotEnforced")
      assert.strictEqual(error.control, control)
    }).pipe(Effect.provide(processes("development"))))
}

it.effect("a port of the sandbox is that of the host, so nothing is to be done for it", () =>
  Effect.gen(function*() {
    const { exitCode } = yield* run("true", { policy: { ports: [{ host: 8_080, sandbox: 8_080 }] } })
    assert.strictEqual(exitCode, 0)
  }).pipe(Effect.provide(processes("development"))))

it.effect("runs in the workspace, with an environment built from nothing", () =>
  Effect.gen(function*() {
    const { exitCode, stderr, stdout } = yield* run(
      "pwd | grep -c tmp; env | cut -d= -f1 | sort | tr '\\n' ' '; cat; echo no >&2; exit 3",
      {
        env: { A: "1" },
        stdin: "in"
      }
    )
    assert.strictEqual(stdout, "1\nA HOME LANG PATH PWD SMITHERS_PROCESS_MARK in")
    assert.strictEqual(stderr, "no\n")
    assert.strictEqual(exitCode, 3)
  }).pipe(Effect.provide(processes("development"))))

it.effect("kills at the bound of output", () =>
  Effect.map(run("yes", { policy: { maxOutputBytes: 1_000 } }), ({ outputBytes, reason }) => {
    assert.strictEqual(reason, "output")
    assert.strictEqual(outputBytes, 1_000)
  }).pipe(Effect.provide(processes("development"))))

it.effect("a program that is not there is a typed failure", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(run(["/nowhere"]))
    assert(error._tag === "RuntimeFailed")
    assert.strictEqual(error.reason, "Spawn")
  }).pipe(Effect.provide(processes("development"))))

const found = (word: string) =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) =>
    fs.existsSync(`/proc/${pid}/cmdline`) && fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(word)
  )

for (const ending of ["its time is up", "its task is cancelled"]) {
  it.effect(`kills children that made a session of their own when ${ending}`, () =>
    Effect.gen(function*() {
      const word = randomUUID()
      const ready = yield* Deferred.make<void>()
      const running = yield* Effect.fork(run(`setsid sh -c 'echo up; sleep 1000; : ${word}' & sleep 1000; : ${word}`, {
        policy: { timeout: "1 minute" },
        onOutput: () => Deferred.succeed(ready, undefined)
      }))
      yield* Deferred.await(ready)
      assert.isAbove(found(word).length, 1)
      if (ending === "its time is up") {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(running)).reason, "timeout")
      } else yield* Fiber.interrupt(running)
      assert.deepStrictEqual(found(word), [])
    }).pipe(Effect.provide(processes("development"))))
}
