import { Context, Effect, Layer } from "effect"
import type { Actor, Tenant } from "../model/index.ts"

/** A run that spends. */
export interface Spender {
  readonly runId: string
  readonly workflow: string
  /** Who launched it, or its outermost ancestor: what children spend is spent by whoever launched the first of them. */
  readonly actor: Actor
  /** Whose the run is; null: the operator's. */
  readonly tenant: Tenant | null
}

/** A limit that has been reached. */
export interface Reached {
  readonly metric: string
  readonly unit: string
  readonly limit: number
  readonly used: number
}

/** One attempt of one task. */
export interface Spending extends Spender {
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
}

/**
 * What runs may spend, as whoever bills for it says. The engine reserves before every attempt of a task and settles after
 * it; a task whose result is in the journal or in the cache spends nothing. A run of which every branch waits for budget,
 * or for something else, is parked as `waiting-quota`.
 *
 * Nothing here fails: what cannot be asked is refused and asked again, what cannot be settled is the other side's to say.
 */
export class Budget extends Context.Reference<Budget>()("smithers-orchestrator/engine/Budget", {
  defaultValue: (): Service => unlimited
}) {}

interface Service {
  /** Asked once for each run that executes. False: the engine asks for nothing more. */
  readonly limits: (spender: Spender) => boolean
  /** A hard limit that leaves a new run of the tenant no room for a single attempt, if there is one. */
  readonly exhausted: (tenant: Tenant) => Effect.Effect<Reached | null>
  /** Whether the attempt may begin; what it may use is kept free until it is settled. May be repeated. */
  readonly reserve: (spending: Spending) => Effect.Effect<boolean>
  /** The attempt is over, however it ended. Not called when the process dies: a reservation has to expire. */
  readonly settle: (spending: Spending, used: { readonly durationMs: number }) => Effect.Effect<void>
  /** Something else that a run has used, recorded once however often it is said of one attempt. */
  readonly record: (
    spending: Spending,
    used: { readonly metric: string; readonly unit: string; readonly quantity: number }
  ) => Effect.Effect<void>
  /** Of runs that wait for budget, oldest first, those that there is room for now. Asked at the supervisor's interval. */
  readonly fitting: (waiting: ReadonlyArray<Spender>) => Effect.Effect<ReadonlyArray<Spender>>
}

const unlimited: Service = {
  limits: () => false,
  exhausted: () => Effect.succeed(null),
  reserve: () => Effect.succeed(true),
  settle: () => Effect.void,
  record: () => Effect.void,
  fitting: Effect.succeed
}

/** Nothing is refused and nothing recorded; what is in force unless another layer is provided. */
export const layerUnlimited = Layer.succeed(Budget, unlimited)
