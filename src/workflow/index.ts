/**
 * What authors of workflows import: definitions from `@effect/workflow`, durable steps and approvals from here.
 * Between steps a body is ordinary Effect code, executed again on every replay: keep effects on the world in tasks.
 */
export { DurableClock, DurableDeferred, Workflow } from "@effect/workflow"
import { Engine } from "../engine/index.ts"
export const { Description, Title } = Engine
export { Redaction, SecretRef } from "../engine/index.ts"
export * as Approval from "./Approval.ts"
export * as Artifacts from "./Artifacts.ts"
export * as Sandbox from "./Sandbox.ts"
export * as Secrets from "./Secrets.ts"
export * as Task from "./Task.ts"
