import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import fs from "node:fs"
import * as Bubblewrap from "../../../src/sandbox/Bubblewrap.ts"
import * as EgressConfig from "../../../src/sandbox/EgressConfig.ts"
import * as EgressProxy from "../../../src/sandbox/EgressProxy.ts"
import * as EgressResolver from "../../../src/sandbox/EgressResolver.ts"
import * as RuntimeConfig from "../../../src/sandbox/RuntimeConfig.ts"
import { type Input, parse } from "../../../src/sandbox/SandboxPolicy.ts"
import type { OutputChunk, Runtime, Spec } from "../../../src/sandbox/SandboxRuntime.ts"

/** Names that the tests' own resolver knows, and nobody else. */
export const names: Readonly<Record<string, ReadonlyArray<string>>> = {
  "mirror.test": ["127.0.0.1"],
  "private.test": ["10.1.2.3"],
  "mixed.test": ["127.0.0.1", "169.254.169.254"],
  "nowhere.test": []
}

export const resolverLayer = Layer.succeed(EgressResolver.EgressResolver, {
  resolve: (host) => Effect.succeed(names[host] ?? [])
})

export const proxyLayer = (egress: Partial<EgressConfig.Settings> = {}) =>
  EgressProxy.layer.pipe(
    Layer.provide(resolverLayer),
    Layer.provide(Layer.succeed(EgressConfig.EgressConfig, { ...EgressConfig.defaults, ...egress })),
    Layer.provideMerge(NodeContext.layer)
  )

export class Sandboxes
  extends Context.Tag("smithers-orchestrator/test/sandbox/runtime/support/Sandboxes")<Sandboxes, Runtime>()
{}

/** Bubblewrap with other settings. */
export const bubblewrapWith = (options: {
  readonly egress?: Partial<EgressConfig.Settings>
  readonly settings?: Partial<RuntimeConfig.Settings>
} = {}) =>
  Layer.scoped(Sandboxes, Bubblewrap.make).pipe(
    Layer.provideMerge(proxyLayer(options.egress)),
    Layer.provide(Layer.succeed(RuntimeConfig.RuntimeConfig, { ...RuntimeConfig.defaults, ...options.settings }))
  )

export interface Asked extends Partial<Omit<Spec, "policy" | "stdin">> {
  readonly policy?: Input
  readonly stdin?: string
}

/** Runs a shell script, or a command, on a workspace that is gone afterwards unless one is given; gives all its output. */
export const runIn = (runtime: Runtime, script: string | ReadonlyArray<string>, asked: Asked = {}) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const chunks: Array<OutputChunk> = []
    const textOf = (stream: string) =>
      Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map(({ bytes }) => bytes)).toString()
    const outcome = yield* runtime.run({
      command: typeof script === "string" ? ["/bin/sh", "-c", script] : script,
      workspace: asked.workspace ?? (yield* fs.makeTempDirectoryScoped()),
      ownCode: asked.ownCode,
      env: asked.env ?? {},
      stdin: asked.stdin === undefined ? undefined : Buffer.from(asked.stdin),
      policy: yield* parse(asked.policy ?? {}),
      onOutput: asked.onOutput ?? ((chunk) => Effect.sync(() => chunks.push(chunk)))
    })
    return { ...outcome, stdout: textOf("stdout"), stderr: textOf("stderr") }
  }).pipe(Effect.scoped)

export const run = (script: string | ReadonlyArray<string>, asked: Asked = {}) =>
  Effect.flatMap(Sandboxes, (runtime) => runIn(runtime, script, asked))

/** Processes of the host with a word in their command line. */
export const processesWith = (word: string) =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(word)
    } catch {
      return false
    }
  })
