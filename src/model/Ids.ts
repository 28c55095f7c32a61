import { Schema } from "effect"

/** Names a run for ever: 1–64 characters, optionally followed by `:child:<node>:<iteration>` parts, 256 in all. */
export const RunId = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}(:child:[a-zA-Z0-9:_-]{1,128}:\d{1,9})*$/),
  Schema.maxLength(256),
  Schema.annotations({ identifier: "RunId" }),
  Schema.brand("RunId")
)
export type RunId = typeof RunId.Type

/** Names a durable step within its run: 1–128 characters of `a-z A-Z 0-9 : _ -`. */
export const NodeId = Schema.String.pipe(
  Schema.pattern(/^[a-zA-Z0-9:_-]{1,128}$/),
  Schema.annotations({ identifier: "NodeId" }),
  Schema.brand("NodeId")
)
export type NodeId = typeof NodeId.Type

/** Which turn of a loop a node belongs to, from 0. */
export const Iteration = Schema.Int.pipe(
  Schema.between(0, 1_000_000),
  Schema.annotations({ identifier: "Iteration" })
)

/** The per-run sequence number of an event: starts at 1, no gaps, no duplicates. */
export const Seq = Schema.Int.pipe(Schema.nonNegative(), Schema.annotations({ identifier: "Seq" }))

/** The key under which a workflow is launched: 1–128 characters. */
export const WorkflowName = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$/),
  Schema.annotations({ identifier: "WorkflowName" })
)

/** Chosen by a caller so that a repeated launch is the same launch: 1–256 characters. */
export const IdempotencyKey = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(256),
  Schema.annotations({ identifier: "IdempotencyKey" })
)

/** Milliseconds since the epoch. */
export const TimestampMs = Schema.Int.annotations({ identifier: "TimestampMs" })

/** Identity of one durable step: its id and the iteration it belongs to. */
export const nodeKey = (nodeId: string, iteration: number): string => `${nodeId}#${iteration}`
