import { Path } from "@effect/platform"
import { Clock, Context, Effect, Layer, Option, Schema, type Scope } from "effect"
import { Audit } from "../audit/index.ts"
import type { Tenant } from "../model/index.ts"
import { Persistence, type PersistenceError } from "../persistence/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import type { ChangeSet } from "./Change.ts"
import * as ChangeApply from "./ChangeApply.ts"
import type { DiffBundle, Oversized } from "./DiffBundle.ts"
import { makeDiffs } from "./internal/Diffs.ts"
import { makeExecution } from "./internal/Execution.ts"
import { makeHousekeeping } from "./internal/Housekeeping.ts"
import { cleaning, refusalOf } from "./internal/refusalOf.ts"
import { Probe, type Proof, strictest } from "./Probe.ts"
import * as Review from "./Review.ts"
import { RuntimeUnavailable } from "./RuntimeError.ts"
import { SandboxConfig } from "./SandboxConfig.ts"
import type { SandboxFailed } from "./SandboxFailed.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"
import { type Executed, failed, sandboxIdOf, type SandboxRequest, type WorkflowProgram } from "./SandboxRequest.ts"
import { type RunError, type RuntimeName, SandboxRuntime } from "./SandboxRuntime.ts"
import { type SandboxRow, SandboxStore } from "./SandboxStore.ts"

export { Executed } from "./SandboxRequest.ts"

/** What became of a change set. */
export const Applied = Schema.Struct({
  outcome: Schema.Literal("applied", "already"),
  accepted: Schema.Array(Schema.String),
  partial: Schema.Array(Schema.String),
  rejected: Schema.Array(Schema.String)
})
export type Applied = typeof Applied.Type

/** Where changes go, and what was decided about them. */
export interface Application {
  readonly runId: string
  /** Whose the run is; the operator's unless given. */
  readonly tenant?: Tenant | null | undefined
  readonly nodeId: string
  readonly iteration: number
  /** Absolute path of the directory whose copy the sandbox had. */
  readonly target: string
  readonly decision: Review.Decision
  readonly record: SandboxRequest["record"]
}

/**
 * Execution of commands that nobody trusts, and the way back of what they changed.
 *
 *     files ─► base (hash a file) ─► copy ─► prove the policy ─► run ─► capture ─► change set ─► review ─► apply
 *
 * The command sees a copy, an environment made from nothing, and what the policy allows; a control that was asked for
 * and does not hold fails closed before anything runs. What it hands over is hostile input. Changes are data until
 * somebody decides; the target then becomes the new state whole, or stays the old one.
 */
export class Sandbox extends Context.Tag("smithers-orchestrator/sandbox/Sandbox")<Sandbox, {
  /**
   * Offers a workflow to sandboxes (`SandboxRequest.workflow`) until the scope closes. Of two with the same key the later
   * one counts.
   */
  readonly offer: (key: string, program: WorkflowProgram) => Effect.Effect<void, never, Scope.Scope>
  /** Executes a command, or a workflow, to its end. May be repeated after a crash: every attempt begins from nothing. */
  readonly execute: (request: SandboxRequest) => Effect.Effect<Executed, SandboxFailed>
  /** A change set of a run, with its hunks. */
  readonly changeSet: (runId: string, changeSet: string) => Effect.Effect<ChangeSet, SandboxFailed>
  /**
   * What a node changed, for the wire: unified diffs, and binary contents as base64; none when it changed nothing. More
   * than 50 MiB is told by its size.
   */
  readonly nodeDiff: (runId: string, nodeId: string, iteration: number) => Effect.Effect<
    Option.Option<DiffBundle | Oversized>,
    SandboxFailed | PersistenceError
  >
  /** The same of all nodes of a run, in the order in which they were done; a file that two of them changed is there twice. */
  readonly runDiff: (runId: string) => Effect.Effect<
    Option.Option<DiffBundle | Oversized>,
    SandboxFailed | PersistenceError
  >
  /** Brings the accepted changes into the target, all or none; repeating it is doing it once. */
  readonly apply: (application: Application) => Effect.Effect<Applied, SandboxFailed>
  /**
   * What a runtime (the configured one unless given) really enforces of the strictest policy, found out from inside.
   * Takes some seconds, one after the other. A container engine needs an `image` with perl in it.
   */
  readonly verify: (options?: {
    readonly runtime?: RuntimeName | undefined
    readonly image?: string | undefined
  }) => Effect.Effect<Proof, RunError>
  readonly runtimes: ReadonlyArray<RuntimeName>
  /** The attempts of a run, oldest first; the first 1,000. */
  readonly list: (runId: string) => Effect.Effect<ReadonlyArray<SandboxRow>, PersistenceError>
  /**
   * Removes the folders of runs that are no more, and contents of which no change set speaks when they are older than two
   * days. The layer does it by itself when it is built and every hour.
   */
  readonly sweep: Effect.Effect<
    { readonly folders: number; readonly blobs: number; readonly bytes: number },
    BundleFailed | PersistenceError
  >
}>() {}

const make = Effect.gen(function*() {
  const { home } = yield* Persistence.Persistence
  const settings = yield* SandboxConfig
  const path = yield* Path.Path
  const store = yield* SandboxStore
  const blobs = yield* BlobStore
  const runtimes = yield* SandboxRuntime
  const probe = yield* Probe
  const audit = yield* Audit.Audit
  const clean = cleaning(yield* SecretGuard.SecretGuard)
  const root = path.join(home, "sandboxes")
  const offered = new Map<string, WorkflowProgram>()
  const execute = yield* makeExecution(root, offered)
  const { changeSet, nodeDiff, runDiff } = yield* makeDiffs
  const housekeeping = yield* makeHousekeeping(root)
  const targets = new Map<string, Effect.Semaphore>()
  const verifying = yield* Effect.makeSemaphore(1)

  yield* housekeeping.recover
  yield* Effect.forkScoped(housekeeping.forever)

  const apply = Effect.fn("Sandbox.apply")(
    function*({ decision, iteration, nodeId, record, runId, target, tenant }: Application) {
      const sandboxId = sandboxIdOf({ nodeId, iteration })
      const changes = yield* changeSet(runId, decision.changeSet)
      const turn = targets.get(target) ?? Effect.unsafeMakeSemaphore(1)
      targets.set(target, turn)
      const { applied, selection } = yield* Effect.gen(function*() {
        const selection = yield* Review.select(changes, decision)
        // What a crash cut off is undone first: the same changes are applied again below.
        yield* ChangeApply.recover(target)
        return { selection, applied: yield* ChangeApply.apply(target, selection) }
      }).pipe(
        turn.withPermits(1),
        Effect.provideService(BlobStore, blobs),
        Effect.mapError(refusalOf(sandboxId, clean))
      )
      const now = yield* Clock.currentTimeMillis
      const counts = {
        accepted: selection.accepted.length,
        partial: selection.partial.length,
        rejected: selection.rejected.length
      }
      const { actor, note } = decision
      yield* record("SandboxDiffAccepted", {
        sandboxId,
        changeSet: decision.changeSet,
        patchCount: counts.accepted + counts.partial,
        ...counts
      }, [
        audit.append({
          atMs: now,
          actor,
          action: "sandbox.apply",
          target,
          runId,
          ...tenant,
          outcome: "ok",
          reason: note,
          detail: { changeSet: decision.changeSet, baseRef: changes.baseRef, ...counts }
        })
      ])
      return {
        outcome: applied.outcome,
        accepted: selection.accepted,
        partial: selection.partial,
        rejected: selection.rejected
      }
    }
  )

  const offer: Sandbox["Type"]["offer"] = (key, program) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        offered.set(key, program)
      }),
      () =>
        Effect.sync(() => {
          if (offered.get(key) === program) offered.delete(key)
        })
    )

  const verify: Sandbox["Type"]["verify"] = Effect.fn("Sandbox.verify")(
    function*({ image, runtime: name = settings.runtime } = {}) {
      const asked = yield* SandboxPolicy.parse(image === undefined ? {} : { image })
      const runtime = yield* runtimes.get(name)
      yield* runtime.check
      return yield* probe.verify(runtime, { ...strictest, image: asked.image })
    },
    verifying.withPermits(1)
  )

  return Sandbox.of({
    offer,
    execute,
    changeSet,
    nodeDiff,
    runDiff,
    apply,
    verify,
    runtimes: runtimes.names,
    list: store.list,
    sweep: housekeeping.sweep
  })
})

/** Sandboxes under `<home>/sandboxes`; cleans up what a process that died left behind, and keeps house. */
export const layer = Layer.scoped(Sandbox, make)

const nested = (request: Parameters<typeof sandboxIdOf>[0]) =>
  failed(sandboxIdOf(request), "Unavailable", "there are no sandboxes within a sandbox")

/** No sandboxes: for what itself runs in one. Every request is refused. */
export const layerNone = Layer.succeed(
  Sandbox,
  Sandbox.of({
    offer: () => Effect.void,
    execute: nested,
    changeSet: (_, changeSet) => failed(changeSet, "Unknown", "there are no sandboxes within a sandbox"),
    nodeDiff: () => Effect.succeed(Option.none()),
    runDiff: () => Effect.succeed(Option.none()),
    apply: nested,
    verify: () =>
      new RuntimeUnavailable({
        runtime: "none",
        reason: "Unknown",
        detail: "There are no sandboxes within a sandbox."
      }),
    runtimes: [],
    list: () => Effect.succeed([]),
    sweep: Effect.succeed({ folders: 0, blobs: 0, bytes: 0 })
  })
)
