import { Context, type Effect } from "effect"
import type { RunStore } from "../journal/index.ts"
import type { Actor, Approval, Run, StartedBy } from "../model/index.ts"
import type { PersistenceError } from "../persistence/index.ts"
import type { DecisionRefused, InvalidInput, NodeNotFound, RunConflict, WorkflowNotFound } from "./EngineError.ts"

export interface LaunchOptions {
  readonly workflow: string
  readonly input: unknown
  /** A UUID unless given. */
  readonly runId?: string | undefined
  /** The same key for the same workflow answers the run that was launched with it first. */
  readonly idempotencyKey?: string | undefined
  readonly startedBy?: StartedBy | undefined
  readonly actor: Actor
}

export interface Launched {
  readonly runId: string
  readonly workflow: string
  /** True when the idempotency key named an earlier run: nothing was started. */
  readonly existing: boolean
}

/** A workflow that can be launched. */
export interface WorkflowInfo {
  readonly key: string
  readonly title: string | null
  readonly description: string | null
  /** JSON Schema of the launch input, if the payload schema has one. */
  readonly inputSchema: unknown
  readonly moduleRevision: string | null
}

/** What keeps a run from going on, if anything. */
export type Blocked =
  | { readonly kind: "approval"; readonly nodeId: string; readonly requestedAtMs: number }
  | { readonly kind: "event"; readonly nodeId: string }
  | { readonly kind: "timer"; readonly nodeId: string; readonly wakeAtMs: number }

/** A run, how its nodes stand, and what it waits for. */
export interface RunView {
  readonly run: Run
  /** Count of nodes per state. */
  readonly summary: Readonly<Record<string, number>>
  readonly blocked: Blocked | null
}

export interface CancelOutcome {
  readonly runId: string
  /** `requested`: a running task is being interrupted; `cancelled`: the run was parked and ended at once. */
  readonly outcome: "requested" | "cancelled" | "already-cancelled"
}

export interface Decision {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly approved: boolean
  readonly note?: string | undefined
  /** Handed to the workflow as it is, JSON only. */
  readonly value?: unknown
  /** When given, the decision holds only for a payload of this SHA-256: what the approver saw. */
  readonly payloadSha256?: string | undefined
  readonly actor: Actor
}

/**
 * Durable execution of workflows.
 *
 * A task whose completion was acknowledged is never executed again; a task that was executing when the process died runs
 * again (at least once). Every answer of an operation that changes something comes after its commit.
 */
export class Engine extends Context.Tag("smithers-orchestrator/engine/Engine")<
  Engine,
  {
    /** The loaded workflows, by key. */
    readonly workflows: Effect.Effect<ReadonlyArray<WorkflowInfo>>
    /** Answers when the run is durable; its body goes on in the background. Launching twice with one id changes nothing. */
    readonly launch: (
      options: LaunchOptions
    ) => Effect.Effect<Launched, WorkflowNotFound | InvalidInput | RunConflict | PersistenceError>
    readonly view: (runId: string) => Effect.Effect<RunView, RunStore.RunNotFound | PersistenceError>
    /** Interrupts running tasks, waits `cancelGrace`, then abandons them. Recorded as requested, acknowledged, finished. */
    readonly cancel: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<CancelOutcome, RunStore.RunNotFound | RunConflict | PersistenceError>
    /** Starts no further task; parks as `paused` when those in flight are done. */
    readonly pause: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<void, RunStore.RunNotFound | RunConflict | PersistenceError>
    /** Goes on with a paused, held or interrupted run. Answers false when the run has ended. */
    readonly resume: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<boolean, RunStore.RunNotFound | WorkflowNotFound | PersistenceError>
    /** Executes a failed node again, and with `resetDependents` every other failed or cancelled one; answers their ids. */
    readonly retry: (
      options: {
        readonly runId: string
        readonly nodeId: string
        readonly iteration: number
        readonly resetDependents: boolean
        readonly actor: Actor
      }
    ) => Effect.Effect<
      ReadonlyArray<string>,
      RunStore.RunNotFound | NodeNotFound | RunConflict | WorkflowNotFound | PersistenceError
    >
    /** Pending approvals, oldest first. */
    readonly approvals: (
      filter: {
        readonly runId?: string | undefined
        readonly workflow?: string | undefined
        readonly limit?: number | undefined
      }
    ) => Effect.Effect<ReadonlyArray<Approval>, PersistenceError>
    /** Decides once; the run goes on in the background. Never lost, whether the run has parked yet or not. */
    readonly decide: (
      decision: Decision
    ) => Effect.Effect<Approval, RunStore.RunNotFound | DecisionRefused | InvalidInput | PersistenceError>
    /** Deletes an ended run and everything that hangs on it, with an audit row in the same commit. */
    readonly remove: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<void, RunStore.RunNotFound | RunConflict | PersistenceError>
    /** Completes when the run has ended, with the run as it then stands. */
    readonly awaitEnd: (runId: string) => Effect.Effect<Run, RunStore.RunNotFound | PersistenceError>
  }
>() {}
