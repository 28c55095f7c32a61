import { FileSystem, Path } from "@effect/platform"
import { Cache, Clock, Context, Duration, Effect, Equal, Exit, Hash, Layer, Schema } from "effect"
import { createHash } from "node:crypto"
import { plantCanaries } from "./internal/runtime/Canaries.ts"
import { allocationProbe, memoryProbe, probeProgram, processorProbe } from "./internal/runtime/ProbeProgram.ts"
import type { ControlProof, Proof } from "./Proof.ts"
import { ControlNotEnforced, RuntimeFailed } from "./RuntimeError.ts"
import { hostsOf, type Limits, limitsOf, type SandboxPolicy } from "./SandboxPolicy.ts"
import type { RunError, Runtime } from "./SandboxRuntime.ts"

export { Proof } from "./Proof.ts"

/**
 * Proof, not hope: runs a program in a sandbox of the very runtime that tries what must not be possible, against targets
 * that are known to be there. Needs perl in the sandbox; without it nothing counts as enforced.
 */
export class Probe extends Context.Tag("smithers-orchestrator/sandbox/Probe")<Probe, {
  /**
   * The whole table, whatever it says. Without a policy: every limit that there is. A container engine needs one with an
   * `image`. Takes a few seconds.
   */
  readonly verify: (runtime: Runtime, policy?: SandboxPolicy) => Effect.Effect<Proof, RunError>
  /**
   * The same for a sandbox that is about to run; fails with the first control that was asked for and does not hold. Once
   * proved, a policy counts as proved by this service for as long as it runs.
   */
  readonly prove: (runtime: Runtime, policy: SandboxPolicy) => Effect.Effect<Proof, RunError>
}>() {}

const mebi = 1_048_576

/**
 * The policy that is probed in the place of another: with the same controls by the same means, but limits that are
 * quickly reached and no host of the world.
 */
const scaled = (policy: SandboxPolicy): SandboxPolicy => {
  const limits = limitsOf(policy)
  const diskLimit = Math.min(limits.diskLimit, 8 * mebi)
  return {
    ...policy,
    allowNetwork: hostsOf(policy).length > 0 ? { hosts: ["probe.invalid"] } : false,
    volumes: [],
    // Of the host; the sandbox itself finds out whether they lead where they should.
    ports: [],
    ...(policy.memoryLimit === undefined ? {} : { memoryLimit: Math.min(limits.memoryLimit, 64 * mebi) }),
    ...(policy.pidsLimit === undefined ? {} : { pidsLimit: Math.min(limits.pidsLimit, 64) }),
    ...(policy.diskLimit === undefined ? {} : { diskLimit }),
    ...(policy.fileSize === undefined ? {} : { fileSize: Math.min(limits.fileSize, diskLimit, 4 * mebi) }),
    ...(policy.openFiles === undefined ? {} : { openFiles: Math.min(limits.openFiles, 128) }),
    timeout: Duration.toMillis("30 seconds"),
    maxOutputBytes: 262_144
  }
}

/** No network, and every limit that there is, each quickly reached. */
export const strictest: SandboxPolicy = {
  allowNetwork: false,
  memoryLimit: 64 * mebi,
  pidsLimit: 64,
  diskLimit: 8 * mebi,
  fileSize: 4 * mebi,
  openFiles: 128,
  cpuLimit: 1,
  ports: [],
  volumes: []
}

const limitNames = ["memoryLimit", "pidsLimit", "diskLimit", "fileSize", "openFiles", "cpuLimit"] as const

const isLimit = (control: string): control is typeof limitNames[number] => limitNames.some((name) => name === control)

/** How far a probe goes; what the policy does not name is tried too, for the table. */
const probedLimits = (policy: SandboxPolicy): Limits => limitsOf({ ...strictest, ...policy })

const canonical = (policy: SandboxPolicy) =>
  Object.entries(policy).filter(([, value]) => value !== undefined).sort(([a], [b]) => a < b ? -1 : 1)

const encode = Schema.encodeSync(Schema.parseJson(Schema.Unknown))
const hashOf = (policy: SandboxPolicy) => createHash("sha256").update(encode(canonical(policy))).digest("hex")

/** Equal to every other of the same runtime and policy. */
class Key implements Equal.Equal {
  readonly runtime: Runtime
  readonly policy: SandboxPolicy
  readonly text: string
  constructor(runtime: Runtime, policy: SandboxPolicy) {
    this.runtime = runtime
    this.policy = policy
    this.text = `${runtime.name} ${hashOf(policy)}`
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Key && that.text === this.text
  }
  [Hash.symbol](): number {
    return Hash.string(this.text)
  }
}

const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  /** Runs a perl program and gives what it printed and how it ended. */
  const perl = (runtime: Runtime, policy: SandboxPolicy, program: string) =>
    Effect.gen(function*() {
      const workspace = path.join(
        yield* Effect.mapError(fs.makeTempDirectoryScoped({ prefix: "smithers-probe-" }), (cause) =>
          new RuntimeFailed({ runtime: runtime.name, reason: "Setup", detail: cause.message })),
        "workspace"
      )
      yield* Effect.orDie(fs.makeDirectory(workspace))
      let text = ""
      const outcome = yield* runtime.run({
        command: ["perl", "-e", program],
        workspace,
        env: {},
        policy,
        onOutput: ({ bytes }) =>
          Effect.sync(() => {
            text += Buffer.from(bytes).toString("latin1")
          })
      })
      return { ...outcome, text }
    }).pipe(
      Effect.scoped,
      // Real time, whatever clock the service was given: a probe that hangs must end.
      Effect.withClock(Clock.make())
    )

  const probeMemory = (runtime: Runtime, policy: SandboxPolicy) =>
    Effect.gen(function*() {
      const { memoryLimit } = probedLimits(policy)
      const alone = yield* perl(runtime, policy, allocationProbe(memoryLimit))
      const together = yield* perl(runtime, policy, memoryProbe(memoryLimit))
      const survivors = together.reason === "memory" ? 0 : Number(together.text.trim() || 0)
      const grew = alone.text.includes(String(Math.trunc(memoryLimit * 1.5)))
      return {
        enforced: !grew && survivors < 4,
        evidence: `one process ${grew ? "took" : "could not take"} half more than ${memoryLimit} bytes; ` +
          (together.reason === "memory"
            ? "several were killed when they did together"
            : `${survivors} of 6 that took 30 % each survived`)
      }
    })

  const probeCores = (runtime: Runtime, policy: SandboxPolicy) =>
    perl(runtime, policy, processorProbe(Math.ceil(policy.cpuLimit ?? 1) + 1)).pipe(
      Effect.map(({ text }) => {
        const [, cores = "Infinity", used = "Infinity"] = /^(\d+) ([\d.]+)$/m.exec(text) ?? []
        const limit = policy.cpuLimit ?? 0
        return {
          // A share is measured, and a scheduler may give a little more of it in a short time.
          enforced: Number(cores) <= limit || Number(used) <= 1.2 * limit,
          evidence: `${cores} cores could be chosen, ${used} were used by more processes than that`
        }
      })
    )

  const probe = (runtime: Runtime, policy: SandboxPolicy) =>
    Effect.gen(function*() {
      const targets = yield* plantCanaries
      const limits = probedLimits(policy)
      const { text } = yield* perl(runtime, policy, probeProgram(targets, limits))
      const found = [...text.matchAll(/^@\t([^\t\n]+)\t([01])\t([^\n]*)$/gm)]
        .map(([, control = "", held, evidence = ""]) => ({ control, enforced: held === "1", evidence }))
      if (!found.some(({ control }) => control === "end")) {
        return yield* new RuntimeFailed({
          runtime: runtime.name,
          reason: "Setup",
          detail: `The probe did not come to its end: ${text.slice(-200).trim()}`
        })
      }
      const limited = [
        { control: "memoryLimit", ...(yield* probeMemory(runtime, policy)) },
        ...(policy.cpuLimit === undefined ? [] : [{ control: "cpuLimit", ...(yield* probeCores(runtime, policy)) }])
      ]
      return [...found.filter(({ control }) => control !== "end"), ...limited].map((row): ControlProof => ({
        ...row,
        asked: isLimit(row.control) ? policy[row.control] !== undefined : runtime.isolated
      }))
    }).pipe(
      Effect.scoped,
      Effect.provideService(FileSystem.FileSystem, fs),
      Effect.provideService(Path.Path, path)
    )

  const verifyScaled = (
    runtime: Runtime,
    policy: SandboxPolicy,
    refused: ReadonlyArray<ControlProof> = []
  ): Effect.Effect<
    Proof,
    RunError
  > =>
    Effect.gen(function*() {
      const controls = yield* runtime.prove?.(policy) ?? probe(runtime, policy)
      const provedAtMs = yield* Clock.currentTimeMillis
      return {
        runtime: runtime.name,
        policyHash: hashOf(policy),
        provedAtMs,
        controls: [...refused, ...controls.filter((row) => !refused.some(({ control }) => control === row.control))]
      }
    })

  /** What the runtime refuses is a row of the table, and is left out of what is probed. */
  const verify = Effect.fn("Probe.verify")(function*(runtime: Runtime, policy: SandboxPolicy = strictest) {
    let asked = scaled(policy)
    const refused: Array<ControlProof> = []
    while (true) {
      const answer = yield* Effect.either(runtime.supports(asked))
      if (answer._tag === "Right") return yield* verifyScaled(runtime, asked, refused)
      const { control, detail } = answer.left
      if (!isLimit(control)) return yield* answer.left
      refused.push({ control, asked: true, enforced: false, evidence: detail })
      asked = { ...asked, [control]: undefined }
    }
  })

  const proofs = yield* Cache.makeWith({
    capacity: 256,
    lookup: ({ policy, runtime }: Key) => verifyScaled(runtime, policy),
    // What did not work may work the next time.
    timeToLive: (exit) => Exit.isSuccess(exit) ? Duration.infinity : Duration.zero
  })

  const prove = Effect.fn("Probe.prove")(function*(runtime: Runtime, policy: SandboxPolicy) {
    yield* runtime.supports(policy)
    const key = new Key(runtime, scaled(policy))
    const proof = yield* proofs.get(key)
    const broken = proof.controls.find((row) => row.asked && !row.enforced)
    if (broken !== undefined) {
      yield* proofs.invalidate(key)
      return yield* new ControlNotEnforced({
        runtime: runtime.name,
        control: broken.control,
        reason: "Unproved",
        detail: `${broken.evidence}.`
      })
    }
    return proof
  })

  return Probe.of({ verify, prove })
})

export const layer = Layer.scoped(Probe, make)
