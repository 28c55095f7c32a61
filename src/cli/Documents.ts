/** What the commands write with `--json`: a program that reads them decodes with these. */
import { Schema } from "effect"
import {
  ApprovalRow,
  EventRow,
  IssueToken,
  LaunchRun,
  NodeStateRow,
  RunDetail,
  RunRow,
  SubmitApproval,
  TokenRow,
  WorkflowRow
} from "../gateway/contract.ts"

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

/** `workflows list`. */
export const WorkflowsDocument = Schema.Struct({ workflows: Schema.Array(WorkflowRow) })

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
