/**
 * **Sandbox**: commands that nobody trusts, and the review of what they changed.
 *
 *     SandboxRequest ─► policy proved ─► copy of the files ─► runtime ─► hostile bundle ─► change set ─► decision ─► target
 *
 * Runtimes are bubblewrap, docker, podman and, for development, bare processes. Contents lie in a store under their own
 * hashes; a change set names them, a decision names the change set, and the target is swapped whole or not at all.
 */
export * as BlobStore from "./BlobStore.ts"
export * as Bundle from "./Bundle.ts"
export { BundleFailed } from "./BundleFailed.ts"
export { BundleRefused } from "./BundleRefused.ts"
export * as Change from "./Change.ts"
export { ChangeRefused } from "./ChangeRefused.ts"
export * as DiffBundle from "./DiffBundle.ts"
export * as EgressConfig from "./EgressConfig.ts"
export * as EgressProxy from "./EgressProxy.ts"
export * as EgressResolver from "./EgressResolver.ts"
export * as Probe from "./Probe.ts"
export * as RemoteWorkers from "./RemoteWorkers.ts"
export * as Review from "./Review.ts"
export * as RuntimeConfig from "./RuntimeConfig.ts"
export { ControlNotEnforced, PolicyInvalid, RuntimeFailed, RuntimeUnavailable } from "./RuntimeError.ts"
export * as Runtimes from "./Runtimes.ts"
export * as Sandbox from "./Sandbox.ts"
export * as SandboxConfig from "./SandboxConfig.ts"
export { ReviewRejected, SandboxFailed } from "./SandboxFailed.ts"
export * as SandboxPolicy from "./SandboxPolicy.ts"
export type { SandboxRequest, WorkflowProgram } from "./SandboxRequest.ts"
export * as SandboxRuntime from "./SandboxRuntime.ts"
export * as SandboxStore from "./SandboxStore.ts"
export * as Tree from "./Tree.ts"
export { WorkerRefused } from "./WorkerRefused.ts"
