/** What the commands write with `--json`: a program that reads them decodes with these. */
import { Schema } from "effect"
import {
  AcknowledgeRollback,
  ApprovalRow,
  ArtifactRow,
  BillingRow,
  CacheEntryRow,
  DeleteOrg,
  DeleteProject,
  DeleteTeam,
  DropOutbox,
  EventRow,
  ExamineService,
  GetArtifact,
  GetRunDiff,
  IdentityProviderRow,
  IssueToken,
  LaunchRun,
  LimitRow,
  ListAudit,
  MemberRow,
  NodeStateRow,
  OrgAuditRow,
  OrgRow,
  OrgSecretRefRow,
  OutboxBatchRow,
  ProjectRow,
  ProjectTeamRow,
  PruneAudit,
  QuotaState,
  ReleaseReservation,
  RemoveQuota,
  ReservationRow,
  ReserveUsage,
  RetryOutbox,
  RotateAuditKey,
  RunDetail,
  RunRow,
  SandboxProof,
  SandboxRow,
  SubmitApproval,
  SummarizeUsage,
  TeamRow,
  TokenRow,
  UsageRow,
  VerifyOrgAudit,
  WorkflowRow
} from "../gateway/contract.ts"
import { AuditFormat, AuditVerification } from "../model/index.ts"

/** `serve`: the service that has started. */
export const ServiceDocument = Schema.Struct({
  url: Schema.String,
  console: Schema.String,
  pid: Schema.Int,
  home: Schema.String,
  /** Null: the token was given by `SMITHERS_ADMIN_TOKEN`. */
  adminTokenFile: Schema.NullOr(Schema.String),
  workflows: Schema.Array(Schema.String),
  modules: Schema.Struct({
    loaded: Schema.Array(Schema.Struct({ file: Schema.String, revision: Schema.String })),
    failed: Schema.Array(Schema.Struct({ file: Schema.String, reason: Schema.String, detail: Schema.String }))
  })
})

/** `run`, a line each: the launch, and with `--follow` each event and the run as it ended. */
export const RunDocument = Schema.Union(
  Schema.Struct({ type: Schema.Literal("launched"), ...LaunchRun.successSchema.fields }),
  Schema.Struct({ type: Schema.Literal("event"), ...EventRow.fields }),
  Schema.Struct({ type: Schema.Literal("ended"), run: RunDetail })
)

/** `ps`. */
export const PsDocument = Schema.Struct({ runs: Schema.Array(RunRow) })

/** `show`. */
export const ShowDocument = Schema.Struct({
  run: RunDetail,
  nodes: Schema.Array(NodeStateRow),
  approvals: Schema.Array(ApprovalRow)
})

/** `events`, a line each. */
export const EventDocument = EventRow

/** `approve` and `deny`: what was shown, and what was decided. */
export const DecisionDocument = Schema.Struct({ approval: ApprovalRow, decision: SubmitApproval.successSchema })

/** `diff`: all there is, or how much it would be. */
export const DiffDocument = GetRunDiff.successSchema

/** `artifacts list`. */
export const ArtifactsDocument = Schema.Struct({ artifacts: Schema.Array(ArtifactRow) })

/** `artifacts get --output`: what was written. */
export const ArtifactDocument = Schema.Struct({ file: Schema.String, ...GetArtifact.successSchema.fields })

/** `sandbox verify`. */
export const ProofDocument = SandboxProof

/** `sandbox list`. */
export const SandboxesDocument = Schema.Struct({ sandboxes: Schema.Array(SandboxRow) })

/** `workflows list`. */
export const WorkflowsDocument = Schema.Struct({ workflows: Schema.Array(WorkflowRow) })

/** `cache list`. */
export const CacheDocument = Schema.Struct({ entries: Schema.Array(CacheEntryRow) })

/** `audit list`. */
export const AuditDocument = Schema.Struct({ rows: ListAudit.successSchema })

/** `audit verify`: what was found; `problem` is null when all is in order. */
export const AuditVerificationDocument = AuditVerification

/** `audit export --output`: what was written. */
export const AuditExportDocument = Schema.Struct({ file: Schema.String, format: AuditFormat, rows: Schema.Int })

/** `audit rotate-key`. */
export const AuditKeyDocument = RotateAuditKey.successSchema

/** `audit prune`. */
export const AuditPrunedDocument = PruneAudit.successSchema

/** `audit acknowledge-rollback`: what was signed for. */
export const AuditRollbackDocument = Schema.Struct({
  reason: Schema.String,
  ...AcknowledgeRollback.successSchema.fields
})

/** `token list`. */
export const TokensDocument = Schema.Struct({ tokens: Schema.Array(TokenRow) })

/** `token issue` and `token rotate`; `token` is the secret, shown this once. */
export const IssuedDocument = IssueToken.successSchema

/** `backup create`, `verify` and `restore`. */
export const BackupDocument = Schema.Struct({
  file: Schema.String,
  manifestFile: Schema.String,
  createdAtMs: Schema.Int,
  bytes: Schema.Int,
  sha256: Schema.String,
  tables: Schema.Record({ key: Schema.String, value: Schema.Int })
})

/** `backup drill`: what was restored, and found to be whole. */
export const DrillDocument = Schema.Struct({
  file: Schema.String,
  createdAtMs: Schema.Int,
  sha256: Schema.String,
  tables: Schema.Int,
  rows: Schema.Int,
  auditRows: Schema.Int,
  durationMs: Schema.Int
})

/** `doctor`: the release checklist, each point with what was seen. */
export const DoctorDocument = ExamineService.successSchema

/** `doctor secrets`: where, and which secret or format; never a value. At most 1,000 findings, `count` says of how many. */
export const SecretsDocument = Schema.Struct({
  home: Schema.String,
  scanned: Schema.Struct({ files: Schema.Int, texts: Schema.Int }),
  count: Schema.Int,
  findings: Schema.Array(Schema.Union(
    Schema.Struct({
      /** Relative to the home, as of all findings. */
      file: Schema.String,
      table: Schema.String,
      /** The row's primary key, its parts joined by `/`. */
      key: Schema.String,
      column: Schema.String,
      /** Where in the column: `output_json.config.apiKey`. */
      path: Schema.String,
      kind: Schema.Literal("value", "format"),
      found: Schema.String
    }),
    Schema.Struct({
      file: Schema.String,
      line: Schema.Int,
      kind: Schema.Literal("value", "format"),
      found: Schema.String
    })
  ))
})

/** `worker`, a line each: it is ready, has taken a job, the job has ended there, or was not finished. */
export const WorkerDocument = Schema.Struct({
  type: Schema.Literal("ready", "taken", "ended", "abandoned"),
  workerId: Schema.String,
  jobId: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String)
})

/** `config`. The value of a secret is `<redacted>`. */
export const ConfigDocument = Schema.Struct({
  settings: Schema.Array(Schema.Struct({
    key: Schema.String,
    value: Schema.NullOr(Schema.String),
    source: Schema.Literal("env", "default"),
    default: Schema.NullOr(Schema.String),
    usedBy: Schema.Literal("service", "commands", "both"),
    secret: Schema.Boolean,
    meaning: Schema.String
  })),
  problems: Schema.Array(Schema.Struct({ key: Schema.String, problem: Schema.String }))
})

/** What any command writes to stderr when it fails. */
export const FailureDocument = Schema.Struct({
  error: Schema.Struct({
    code: Schema.String,
    message: Schema.String,
    field: Schema.optional(Schema.String),
    fix: Schema.optional(Schema.String),
    exitCode: Schema.Int
  })
})

/** `org create`, `org update`, `org show`. */
export const OrgDocument = OrgRow

/** `org list`. */
export const OrgsDocument = Schema.Struct({ orgs: Schema.Array(OrgRow) })

/** `org delete`: what went. */
export const DeletedOrgDocument = DeleteOrg.successSchema

/** `project create`, `project update`, `project show`. */
export const ProjectDocument = ProjectRow

/** `project list`. */
export const ProjectsDocument = Schema.Struct({ projects: Schema.Array(ProjectRow) })

/** `project delete`: what went. */
export const DeletedProjectDocument = DeleteProject.successSchema

/** `usage summary`. */
export const UsageDocument = Schema.Struct({ usage: SummarizeUsage.successSchema })

/** `quota set`. */
export const QuotaDocument = LimitRow

/** `quota list`. */
export const QuotasDocument = Schema.Struct({ quotas: Schema.Array(LimitRow) })

/** `quota check`; null when there is no limit. */
export const QuotaStateDocument = Schema.Struct({ check: Schema.NullOr(QuotaState) })

/** `quota remove`, and each other command that removes one thing. */
export const RemovedDocument = RemoveQuota.successSchema

/** `org export --output`: what was written. */
export const OrgExportDocument = Schema.Struct({ file: Schema.String, records: Schema.Int })

/** `org audit`. */
export const OrgAuditDocument = Schema.Struct({ events: Schema.Array(OrgAuditRow) })

/** `org verify`: whether the chain is intact, or the first row that is not what was written. */
export const OrgVerdictDocument = VerifyOrgAudit.successSchema

/** `project grant`. */
export const ProjectTeamDocument = ProjectTeamRow

/** `project grants`. */
export const ProjectTeamsDocument = Schema.Struct({ grants: Schema.Array(ProjectTeamRow) })

/** `team create`, `team update`, `team show`. */
export const TeamDocument = TeamRow

/** `team list`. */
export const TeamsDocument = Schema.Struct({ teams: Schema.Array(TeamRow) })

/** `team delete`: what went. */
export const DeletedTeamDocument = DeleteTeam.successSchema

/** `team add`. */
export const MemberDocument = MemberRow

/** `team members`. */
export const MembersDocument = Schema.Struct({ members: Schema.Array(MemberRow) })

/** `billing set`, `billing show`. */
export const BillingDocument = BillingRow

/** `billing list`. */
export const BillingAccountsDocument = Schema.Struct({ accounts: Schema.Array(BillingRow) })

/** `idp set`, `idp show`. */
export const IdentityProviderDocument = IdentityProviderRow

/** `idp list`. */
export const IdentityProvidersDocument = Schema.Struct({ providers: Schema.Array(IdentityProviderRow) })

/** `secret-ref set`, `secret-ref show`. */
export const SecretRefDocument = OrgSecretRefRow

/** `secret-ref list`. */
export const SecretRefsDocument = Schema.Struct({ refs: Schema.Array(OrgSecretRefRow) })

/** `usage record`, `usage settle`. */
export const UsageEventDocument = UsageRow

/** `usage list`. */
export const UsageEventsDocument = Schema.Struct({ events: Schema.Array(UsageRow) })

/** `usage reserve`. */
export const ReservationDocument = ReserveUsage.successSchema

/** `usage reservations`. */
export const ReservationsDocument = Schema.Struct({ reservations: Schema.Array(ReservationRow) })

/** `usage release`. */
export const ReleasedDocument = ReleaseReservation.successSchema

/** `outbox list`. */
export const OutboxDocument = Schema.Struct({ batches: Schema.Array(OutboxBatchRow) })

/** `outbox retry`. */
export const OutboxRetriedDocument = RetryOutbox.successSchema

/** `outbox drop`. */
export const OutboxDroppedDocument = DropOutbox.successSchema
