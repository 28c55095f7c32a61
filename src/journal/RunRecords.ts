import type { Actor, FailureRecord, NodeKind, NodeState, Reach, RunStatus, StartedBy, Tenant } from "../model/index.ts"

/** What a new run is made of. */
export interface NewRun {
  readonly runId: string
  readonly parentRunId: string | null
  readonly workflow: string
  readonly inputJson: string
  readonly idempotencyKey: string | null
  readonly actor: Actor
  readonly startedBy: StartedBy | null
  readonly moduleRevision: string | null
  readonly ownerId: string
  readonly createdAtMs: number
  /** Whose it is; the operator's unless given. */
  readonly tenant?: Tenant | null | undefined
}

/** What an owner learns when it takes a run. */
export interface Claim {
  readonly epoch: number
  /** Resumes in a row that brought no progress, this one included. */
  readonly resumesWithoutProgress: number
  readonly pauseRequested: boolean
}

/** A node as it stands when its state changes. */
export interface NodeRecord {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  /** Place in the order in which the body reached its nodes; kept from the first time on. */
  readonly ordinal: number
  readonly kind: NodeKind
  readonly label: string | null
  readonly parentNodeId: string | null
  readonly state: NodeState
  readonly attempt: number
  readonly outputJson: string | null
  readonly error: FailureRecord | null
  readonly startedAtMs: number | null
  readonly finishedAtMs: number | null
  readonly updatedAtMs: number
  /** Its result was taken from the cache. */
  readonly cached?: boolean
}

export interface AttemptRecord {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
  readonly state: NodeState
  readonly error: FailureRecord | null
  readonly startedAtMs: number
  readonly finishedAtMs: number | null
}

export interface RunFilter {
  readonly status?: RunStatus | undefined
  readonly workflow?: string | undefined
  readonly parentRunId?: string | undefined
  readonly orgId?: string | undefined
  readonly projectId?: string | undefined
  /** Those that are within it; all of them unless given. */
  readonly reach?: Reach | null | undefined
  readonly limit?: number | undefined
  readonly offset?: number | undefined
}

export interface WaitingNode {
  readonly nodeId: string
  readonly state: NodeState
  readonly updatedAtMs: number
}

/** A node's result as replay needs it: the output still as JSON text. */
export interface StoredNode {
  readonly nodeId: string
  readonly iteration: number
  readonly kind: NodeKind
  readonly state: NodeState
  readonly attempt: number
  readonly outputJson: string | null
  readonly errorJson: string | null
  readonly startedAtMs: number | null
  /** Of a node that was executing: attempts that ended with a failure (a crash is none). */
  readonly failedAttempts: number
}
