import { FileSystem } from "@effect/platform"
import { Effect, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import path from "node:path"
import { FailureDocument, ServiceDocument } from "../../src/cli/Documents.ts"
import { distribution } from "./distribution.ts"

/** The tool as its users have it: a process of its own, on the compiled code. */

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

type Env = Readonly<Record<string, string>>

export const greetModule = path.resolve("test/cli/modules/greet.ts")

export const makeHome = Effect.flatMap(
  FileSystem.FileSystem,
  (fs) => fs.makeTempDirectoryScoped({ prefix: "smithers-cli-" })
)

const start = (args: ReadonlyArray<string>, env: Env, user?: number): ChildProcess =>
  spawn(process.execPath, [distribution(), ...args], {
    ...(user === undefined ? {} : { uid: user, gid: user, cwd: "/" }),
    env: { PATH: process.env["PATH"], NODE_NO_WARNINGS: "1", ...env },
    stdio: ["pipe", "pipe", "pipe"]
  })

/** Runs one command to its end. */
export const smithers = (
  args: ReadonlyArray<string>,
  env: Env,
  options: { readonly stdin?: string } = {}
): Effect.Effect<Ended> =>
  Effect.async((resume) => {
    const child = start(args, env)
    let stdout = ""
    let stderr = ""
    child.stdout?.on("data", (data) => stdout += data)
    child.stderr?.on("data", (data) => stderr += data)
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    child.stdin?.end(options.stdin ?? "")
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** A command that goes on, and what it has written so far; under another account if one is given. */
export const running = (args: ReadonlyArray<string>, env: Env, user?: number) =>
  Effect.gen(function*() {
    let stdout = ""
    let stderr = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => start(args, env, user)),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const ended = new Promise<Ended>((resolve) => {
      child.on("close", (code) => resolve({ code, stdout, stderr }))
    })
    child.stdout?.on("data", (data) => stdout += data)
    child.stderr?.on("data", (data) => stderr += data)
    return {
      pid: child.pid,
      kill: (signal: NodeJS.Signals) => Effect.sync(() => child.kill(signal)),
      ended: Effect.promise(() => ended),
      /** What was written until the text appeared; all of it if the process ends before. */
      until: (text: string) =>
        Effect.async<string>((resume) => {
          const look = () => {
            if (stdout.includes(text)) resume(Effect.succeed(stdout))
          }
          child.stdout?.on("data", look)
          child.on("close", () => resume(Effect.succeed(stdout + stderr)))
          look()
        })
    }
  })

const decodeService = Schema.decode(Schema.parseJson(ServiceDocument))

/** A service of this home that says it has started. */
export const service = (home: string, env: Env = {}) =>
  Effect.gen(function*() {
    const settings = { SMITHERS_HOME: home, SMITHERS_PORT: "0", SMITHERS_WORKFLOWS: greetModule, ...env }
    const process = yield* running(["serve", "--json"], settings)
    const text = yield* process.until("\n")
    return { ...process, env: { SMITHERS_HOME: home }, info: yield* decodeService(text) }
  })

/** Waits until the events of a run say so. */
export const eventually = (runId: string, text: string, env: Env) =>
  Effect.scoped(Effect.flatMap(running(["events", runId, "--follow"], env), (process) => process.until(text)))

/** The one JSON document that a command wrote. */
export const document = <A, I>(schema: Schema.Schema<A, I>, ended: Ended) =>
  Schema.decode(Schema.parseJson(schema))(ended.stdout)

/** The documents of a command that streams, a line each. */
export const documents = <A, I>(schema: Schema.Schema<A, I>, ended: Ended) =>
  Effect.forEach(ended.stdout.trimEnd().split("\n"), (line) => Schema.decode(Schema.parseJson(schema))(line))

export const failure = (ended: Ended) =>
  Effect.map(Schema.decode(Schema.parseJson(FailureDocument))(ended.stderr), ({ error }) => error)
