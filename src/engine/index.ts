/**
 * **Engine**: durable execution.
 *
 *     launch ──► running ──► finished | failed | cancelled
 *                  │  ▲
 *         every    │  │ result of a wait committed, resume, retry
 *         branch   ▼  │
 *         waits   waiting-approval | waiting-event | waiting-timer | waiting-quota | paused (asked for, quarantined, diverged)
 *
 * `Runner` executes what this process owns, `Step` and `ApprovalGate` are what bodies are made of, `Engine` has the
 * operations, `Supervisor` takes runs up after a crash. Whatever a run waits for is a row that both sides commit against:
 * the run "I wait for X", the world "X is here"; either order wakes it.
 */
import { Redaction, SecretRef, Secrets } from "../secrets/index.ts"
export * as ApprovalGate from "./ApprovalGate.ts"
export { ApprovalPaths } from "./ApprovalPaths.ts"
export * as ApprovalStore from "./ApprovalStore.ts"
export * as Budget from "./Budget.ts"
export * as Engine from "./Engine.ts"
export * as EngineConfig from "./EngineConfig.ts"
export * from "./EngineError.ts"
export * as Retention from "./Retention.ts"
export * as Runner from "./Runner.ts"
export * as Step from "./Step.ts"
export * as Supervisor from "./Supervisor.ts"
export * as TaskCache from "./TaskCache.ts"
/** For authors of workflows, whose front door stands above this one. */
export { Redaction, SecretRef, Secrets }
export { DuplicateNode, TaskFailed } from "./TaskFailed.ts"
export { Tenancy } from "./Tenancy.ts"
export * as TimerStore from "./TimerStore.ts"
