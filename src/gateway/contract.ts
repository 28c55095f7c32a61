/**
 * The contract of the gateway: every method, with its scope, its request, its answer and its failures, and the frames they
 * travel in. Schemas only: the console and the command line import this file and nothing else of the gateway.
 */
export { AdminOnly, type TenantUse } from "./contract/Annotations.ts"
export { ApprovalRow, ApprovalRpcs, ListApprovals, SubmitApproval } from "./contract/ApprovalRpcs.ts"
export { ArtifactRow, ArtifactRpcs, GetArtifact, ListArtifacts } from "./contract/ArtifactRpcs.ts"
export {
  AcknowledgeRollback,
  AuditRpcs,
  ExportAudit,
  ListAudit,
  PruneAudit,
  RotateAuditKey,
  VerifyAudit
} from "./contract/AuditRpcs.ts"
export {
  CacheEntryRow,
  CacheExplanation,
  CacheRpcs,
  ExplainCache,
  ListCache,
  PurgeCache
} from "./contract/CacheRpcs.ts"
export { aliasesOf, type GatewayRpc, GatewayRpcs, methodScopes, scopeOf, tenantUseOf } from "./contract/Catalog.ts"
export {
  CheckQuota,
  ControlPlaneRpcs,
  CreateOrg,
  CreateProject,
  DeleteOrg,
  DeleteProject,
  ExportOrg,
  GetOrg,
  GetProject,
  LimitRow,
  ListOrgs,
  ListProjects,
  ListQuotas,
  ListReservations,
  ListUsage,
  OrgRow,
  ProjectRow,
  QuotaState,
  RecordUsage,
  ReleaseReservation,
  RemoveQuota,
  ReservationRow,
  ReserveUsage,
  SetQuota,
  SettleReservation,
  SummarizeUsage,
  UpdateOrg,
  UpdateProject,
  UsageRow
} from "./contract/ControlPlaneRpcs.ts"
export { DoctorRpcs, ExamineService, Finding } from "./contract/DoctorRpcs.ts"
export { EventRow, EventRpcs, ListEvents, StreamedEvent, StreamOpened, StreamRunEvents } from "./contract/EventRpcs.ts"
export { failure, FailureCode, failureStatus, GatewayFailure, toWireError, WireError } from "./contract/Failure.ts"
export {
  ConnectParams,
  EventFrame,
  frameIdChars,
  Hello,
  RequestFrame,
  ResponseFrame,
  ServerFrame,
  StreamAnswer,
  StreamErrorPayload,
  StreamEventPayload,
  StreamHeartbeatPayload
} from "./contract/Frames.ts"
export { Health, HealthAnswer, HealthRpcs, Identity } from "./contract/HealthRpcs.ts"
export {
  AttemptRow,
  GetNodeOutput,
  ListAttempts,
  ListNodeStates,
  NodeOutput,
  NodeRpcs,
  NodeStateRow,
  type OutputField,
  RetryTask
} from "./contract/NodeRpcs.ts"
export {
  BillingRow,
  GetBilling,
  GetIdentityProvider,
  GetSecretRef,
  IdentityProviderRow,
  ListBilling,
  ListIdentityProviders,
  ListOrgAudit,
  ListSecretRefs,
  OrgAuditRow,
  OrgRecordRpcs,
  OrgSecretRefRow,
  RecordOrgAudit,
  RemoveBilling,
  RemoveIdentityProvider,
  RemoveSecretRef,
  SetBilling,
  SetIdentityProvider,
  SetSecretRef,
  VerifyOrgAudit
} from "./contract/OrgRecordRpcs.ts"
export { DropOutbox, ListOutbox, OutboxBatchRow, OutboxRpcs, RetryOutbox } from "./contract/OutboxRpcs.ts"
export { RunDetail, RunRow, RunState } from "./contract/RunRow.ts"
export {
  CancelRun,
  DeleteRun,
  GetRun,
  LaunchRun,
  ListRunDescendants,
  ListRuns,
  PauseRun,
  ResumeRun,
  RunRpcs
} from "./contract/RunRpcs.ts"
export { sandboxEventText } from "./contract/SandboxEventText.ts"
export {
  DiffBundle,
  GetNodeDiff,
  GetRunDiff,
  ListSandboxes,
  OversizedDiff,
  SandboxProof,
  SandboxRow,
  SandboxRpcs,
  SandboxRuntimeName,
  VerifySandbox
} from "./contract/SandboxRpcs.ts"
export {
  CreateTeam,
  DeleteTeam,
  GetTeam,
  ListMembers,
  ListProjectTeams,
  ListTeams,
  MemberRow,
  ProjectTeamRow,
  RemoveMember,
  RemoveProjectTeam,
  SetMember,
  SetProjectTeam,
  TeamRow,
  TeamRpcs,
  UpdateTeam
} from "./contract/TeamRpcs.ts"
export { IssueToken, ListTokens, RevokeToken, RotateToken, TokenRow, TokenRpcs } from "./contract/TokenRpcs.ts"
export {
  type Assignment,
  BeatWorker,
  CompleteWorker,
  GetWorkerBlob,
  LeaseWorker,
  OutputWorker,
  ProveWorker,
  PutWorkerBlob,
  workerBounds,
  WorkerRpcs
} from "./contract/WorkerRpcs.ts"
export { ListWorkflows, WorkflowRow, WorkflowRpcs } from "./contract/WorkflowRpcs.ts"
