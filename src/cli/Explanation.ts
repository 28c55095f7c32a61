import { HelpDoc, ValidationError } from "@effect/cli"
import { ConfigError, Predicate } from "effect"
import { failureStatus, GatewayFailure } from "../gateway/contract.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { plain } from "./Style.ts"

type Outcome = CommandFailed["outcome"]

/** How a refusal of the service ends the command. */
const ofStatus = (status: number): Outcome => {
  switch (status) {
    case 400:
    case 413:
      return "usage"
    case 401:
    case 403:
      return "forbidden"
    case 404:
      return "notFound"
    case 409:
      return "conflict"
    default:
      return "failed"
  }
}

const ofGateway = ({ code, details, message }: GatewayFailure): CommandFailed => {
  const outcome = ofStatus(failureStatus[code])
  const field = details?.["field"]
  return new CommandFailed({
    outcome,
    code,
    message,
    ...(typeof field === "string" ? { field } : {}),
    ...(outcome === "forbidden" ? { fix: "Sign in with a token that may: --token, or `smithers token issue`." } : {})
  })
}

/** Every bad setting with its key, as `SMITHERS_PORT must be …`. */
export const configProblems = (
  error: ConfigError.ConfigError
): ReadonlyArray<{ readonly key: string; readonly problem: string }> =>
  ConfigError.reduceWithContext<void, ReadonlyArray<{ readonly key: string; readonly problem: string }>>(
    error,
    undefined,
    {
      andCase: (_, left, right) => [...left, ...right],
      orCase: (_, left, right) => [...left, ...right],
      invalidDataCase: (_, path, problem) => [{ key: path.join("_"), problem }],
      missingDataCase: (_, path, problem) => [{ key: path.join("_"), problem }],
      sourceUnavailableCase: (_, path, problem) => [{ key: path.join("_"), problem }],
      unsupportedCase: (_, path, problem) => [{ key: path.join("_"), problem }]
    }
  )

const ofConfig = (error: ConfigError.ConfigError): CommandFailed => {
  const problems = configProblems(error)
  return new CommandFailed({
    outcome: "usage",
    code: "INVALID_CONFIG",
    message: problems.map(({ key, problem }) => `${key}: ${problem}.`).join(" "),
    ...(problems[0] === undefined ? {} : { field: problems[0].key }),
    fix: "Every setting: `smithers config`."
  })
}

const ofValidation = (error: ValidationError.ValidationError): CommandFailed =>
  new CommandFailed({
    outcome: "usage",
    code: "USAGE",
    message: plain(HelpDoc.toAnsiText(error.error)).trim().replaceAll(/\s+/g, " "),
    fix: "See --help."
  })

/** How the errors of the front doors end a command that uses them directly, by name or by name and reason. */
const outcomes: Readonly<Record<string, Outcome>> = {
  "Forbidden": "forbidden",
  "Unauthorized": "forbidden",
  "InvalidGrant": "usage",
  "TenantNotFound": "notFound",
  "TokenNotFound": "notFound",
  "InvalidSecretInput": "usage",
  "SecretNotFound": "notFound",
  "GatewayUnreachable": "unreachable",
  "GatewayRefused.InsecureBind": "usage",
  "GatewayRefused.TlsFiles": "usage",
  "StartRefused.InstanceLocked": "conflict",
  "BackupError.NoDatabase": "notFound",
  "BackupError.ManifestMissing": "notFound",
  "BackupError.FileMissing": "notFound",
  "BackupError.AlreadyExists": "conflict",
  "BackupError.DatabaseExists": "conflict",
  "BackupError.InUse": "conflict",
  "BackupError.RestorePending": "conflict"
}

const stringMember = (error: unknown, member: string): string | undefined => {
  const value = Predicate.hasProperty(error, member) ? error[member] : undefined
  return typeof value === "string" ? value : undefined
}

/** Any error as one sentence with its exit code. What is unknown here is a failure and says what it is. */
export const explain = (error: unknown): CommandFailed => {
  if (error instanceof CommandFailed) return error
  if (error instanceof GatewayFailure) return ofGateway(error)
  if (ConfigError.isConfigError(error)) return ofConfig(error)
  if (ValidationError.isValidationError(error)) return ofValidation(error)
  const name = stringMember(error, "_tag") ?? stringMember(error, "name") ?? "Error"
  const reason = stringMember(error, "reason")
  const field = stringMember(error, "field")
  const code = reason === undefined ? name : `${name}.${reason}`
  return new CommandFailed({
    outcome: outcomes[code] ?? outcomes[name] ?? "failed",
    code,
    message: stringMember(error, "message") ?? String(error),
    ...(field === undefined ? {} : { field }),
    ...(name === "GatewayUnreachable" ? { fix: "Start it with `smithers serve`, or give --url." } : {})
  })
}
