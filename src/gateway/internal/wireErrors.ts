import { Effect, type ParseResult, Schema, SchemaAST } from "effect"
import type { Forbidden, InvalidGrant, TenantNotFound, TokenNotFound, Unauthorized } from "../../access/index.ts"
import type { AuditUnavailable, InvalidAuditRequest } from "../../audit/index.ts"
import type {
  Conflict,
  InvalidInput as InvalidRecord,
  OrgNotFound,
  RecordNotFound,
  SlugTaken
} from "../../control-plane/index.ts"
import type {
  DecisionRefused,
  InvalidInput,
  NodeNotFound,
  QuotaExceeded,
  RunConflict,
  WorkflowNotFound
} from "../../engine/index.ts"
import type { RunStore } from "../../journal/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import type {
  ControlNotEnforced,
  PolicyInvalid,
  RuntimeFailed,
  RuntimeUnavailable,
  SandboxFailed,
  WorkerRefused
} from "../../sandbox/index.ts"
import { failure, type FailureCode, type GatewayFailure } from "../contract.ts"

export type DomainError =
  | AuditUnavailable
  | Conflict
  | ControlNotEnforced
  | DecisionRefused
  | Forbidden
  | InvalidAuditRequest
  | InvalidGrant
  | InvalidInput
  | InvalidRecord
  | NodeNotFound
  | OrgNotFound
  | PersistenceError
  | PolicyInvalid
  | QuotaExceeded
  | RecordNotFound
  | RunConflict
  | RunStore.RunNotFound
  | RuntimeFailed
  | RuntimeUnavailable
  | SandboxFailed
  | SlugTaken
  | TenantNotFound
  | TokenNotFound
  | Unauthorized
  | WorkerRefused
  | WorkflowNotFound

type Wire = readonly [codes: ReadonlyArray<FailureCode>, details?: Readonly<Record<string, unknown>>]

const conflictCodes = {
  Exists: "CONFLICT",
  NotActive: "RUN_NOT_ACTIVE",
  Active: "RUN_ACTIVE",
  NotFailed: "CONFLICT",
  OrgDeleted: "CONFLICT"
} as const

/**
 * What a domain error is called on the wire: the first of the codes that the method declares. What has no code, or none
 * that is declared, stays inside and is answered as SERVER_ERROR.
 */
const table: { readonly [E in DomainError as E["_tag"]]: (error: E) => Wire } = {
  AuditUnavailable: () => [[]],
  Conflict: ({ reason }) => [["CONFLICT"], { reason }],
  ControlNotEnforced: ({ control, runtime }) => [["UnsupportedSandbox"], { runtime, control }],
  DecisionRefused: ({ iteration, nodeId, reason, runId, status }) => {
    switch (reason) {
      case "AlreadyDecided":
        return [["AlreadyDecided"], { runId, nodeId, iteration, status }]
      case "NotWaiting":
        return [["INVALID_INPUT"]]
      case "NotAllowed":
        return [["FORBIDDEN"]]
      case "PayloadChanged":
        return [["CONFLICT"]]
    }
  },
  Forbidden: ({ requiredScope }) => [["FORBIDDEN"], { requiredScope }],
  InvalidAuditRequest: ({ field }) => [["INVALID_INPUT"], { field }],
  InvalidGrant: () => [["INVALID_INPUT"]],
  InvalidInput: () => [["INVALID_INPUT"]],
  NodeNotFound: () => [["NodeNotFound", "NOT_FOUND"]],
  OrgNotFound: () => [["NOT_FOUND"]],
  PersistenceError: () => [[]],
  PolicyInvalid: ({ field }) => [["INVALID_INPUT"], { field }],
  QuotaExceeded: ({ limit, metric, unit, used }) => [["QUOTA_EXCEEDED"], { metric, unit, limit, used }],
  RecordNotFound: () => [["NOT_FOUND"]],
  RunConflict: ({ reason }) => [[conflictCodes[reason]]],
  RunNotFound: () => [["RunNotFound", "NOT_FOUND"]],
  RuntimeFailed: ({ runtime }) => [["UnsupportedSandbox"], { runtime }],
  RuntimeUnavailable: ({ reason, runtime }) => [["UnsupportedSandbox"], { runtime, reason }],
  SandboxFailed: () => [[]],
  SlugTaken: ({ slug }) => [["CONFLICT"], { slug }],
  // A method that has no word for what is not there refuses it.
  TenantNotFound: () => [["NOT_FOUND", "FORBIDDEN"]],
  TokenNotFound: () => [["NOT_FOUND"]],
  Unauthorized: ({ refresh }) => [["UNAUTHORIZED"], refresh === undefined ? {} : { refresh }],
  WorkerRefused: ({ field, reason }) => [
    [reason === "UnknownJob" ? "NOT_FOUND" : reason === "Busy" ? "RateLimited" : "INVALID_INPUT"],
    { field, reason }
  ],
  WorkflowNotFound: () => [["NOT_FOUND"]]
}

const wireOf = (error: DomainError): Wire =>
  // The table has a row for each tag, made for that very error.
  (table[error._tag] as (error: DomainError) => Wire)(error)

const failuresOf = (error: DomainError): ReadonlyArray<GatewayFailure> => {
  const [codes, details] = wireOf(error)
  return codes.map((code) => failure(code, error.message, details))
}

/** Authentication and scope, before any method is at hand. */
export const toFailure = (error: Forbidden | Unauthorized): GatewayFailure => failuresOf(error)[0]!

/** Turns what a service fails with into what the method declares; what it does not declare becomes a defect. */
export const failAs = <F extends GatewayFailure, I>(declared: Schema.Schema<F, I>) => {
  const isDeclared = Schema.is(declared)
  return Effect.catchAll((error: DomainError | GatewayFailure): Effect.Effect<never, F> => {
    const declared = (error._tag === "GatewayFailure" ? [error] : failuresOf(error)).find(isDeclared)
    return declared === undefined ? Effect.die(error) : Effect.fail(declared)
  })
}

/** Fields whose violation has a code of its own, where the method declares it. */
const fieldCodes: Readonly<Record<string, FailureCode>> = {
  runId: "InvalidRunId",
  nodeId: "InvalidNodeId",
  iteration: "InvalidIteration",
  afterSeq: "SeqOutOfRange",
  "filter.limit": "INVALID_INPUT",
  limit: "INVALID_INPUT"
}

/** A request that its schema refuses: named are the field and what it has to be, never the value. */
export const decodeFailure = (
  errorSchema: Schema.Schema<unknown>,
  error: ParseResult.ParseError
): GatewayFailure => {
  const { path, problem } = firstProblem(error.issue, [])
  const field = path.join(".")
  const message = `${field === "" ? "params" : field}: ${problem}`
  const own = fieldCodes[field]
  const named = own && failure(own, message)
  return named && Schema.is(errorSchema)(named) ? named : failure("INVALID_REQUEST", message)
}

interface Problem {
  readonly path: ReadonlyArray<string>
  readonly problem: string
}

const firstProblem = (issue: ParseResult.ParseIssue, path: ReadonlyArray<string>): Problem => {
  switch (issue._tag) {
    case "Pointer":
      return firstProblem(issue.issue, [...path, ...[issue.path].flat().map((part) => String(part).slice(0, 64))])
    case "Composite":
      return firstProblem([issue.issues].flat()[0] as ParseResult.ParseIssue, path)
    case "Transformation":
      return firstProblem(issue.issue, path)
    case "Refinement":
      return issue.kind === "From" ? firstProblem(issue.issue, path) : { path, problem: mustBe(issue.ast) }
    case "Missing":
      return { path, problem: "is required" }
    case "Unexpected":
      return { path, problem: "is not a known member" }
    case "Forbidden":
    case "Type":
      return { path, problem: mustBe(issue.ast) }
  }
}

const mustBe = (ast: SchemaAST.AST): string => {
  const described = SchemaAST.getDescriptionAnnotation(ast)
  return `must be ${described._tag === "Some" ? described.value : String(ast)}`
}
