import { Schema } from "effect"

/** One control: whether it was asked for, whether it holds, and what was seen. */
export const ControlProof = Schema.Struct({
  control: Schema.String,
  /** The confinement itself is always asked for of a runtime that isolates; a limit when the policy names it. */
  asked: Schema.Boolean,
  enforced: Schema.Boolean,
  evidence: Schema.String
})
export type ControlProof = typeof ControlProof.Type

/** What a runtime really enforces of a policy, found out from inside. */
export const Proof = Schema.Struct({
  runtime: Schema.String,
  /** SHA-256 of the policy that was probed. */
  policyHash: Schema.String,
  provedAtMs: Schema.Int,
  controls: Schema.Array(ControlProof)
})
export type Proof = typeof Proof.Type

/** The controls of every sandbox, whatever the policy: the confinement itself. */
export const confinement: ReadonlyArray<string> = [
  "files",
  "system",
  "environment",
  "processes",
  "network",
  "unix sockets",
  "abstract sockets",
  "clock",
  "mounts",
  "tracing",
  "nested namespaces",
  "privileges",
  "core dumps"
]
