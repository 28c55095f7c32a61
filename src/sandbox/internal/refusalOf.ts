import { Bounds } from "../../model/index.ts"
import {
  type InvalidSecretInput,
  Redaction,
  type SecretGuard,
  type SecretNotFound,
  type SecretUnavailable
} from "../../secrets/index.ts"
import type { BundleFailed } from "../BundleFailed.ts"
import type { BundleRefused } from "../BundleRefused.ts"
import type { ChangeRefused } from "../ChangeRefused.ts"
import { SandboxFailed } from "../SandboxFailed.ts"
import type { RunError } from "../SandboxRuntime.ts"

type Fault =
  | SandboxFailed
  | RunError
  | BundleRefused
  | BundleFailed
  | ChangeRefused
  | InvalidSecretInput
  | SecretNotFound
  | SecretUnavailable

const reasons: Readonly<Record<Exclude<Fault, SandboxFailed>["_tag"], SandboxFailed["reason"]>> = {
  PolicyInvalid: "InvalidRequest",
  ControlNotEnforced: "NotEnforced",
  RuntimeUnavailable: "Unavailable",
  RuntimeFailed: "Setup",
  BundleRefused: "Refused",
  BundleFailed: "Setup",
  ChangeRefused: "Decision",
  InvalidSecretInput: "InvalidRequest",
  SecretNotFound: "Secret",
  SecretUnavailable: "Secret"
}

/** Text as it may be stored: without credentials, and not too long. */
export const cleaning = (guard: SecretGuard.SecretGuard["Type"]) => (text: string): string =>
  Redaction.cut(Redaction.redact(guard.redact(text)), Bounds.failureMessageChars)

/** What went wrong, as a caller of the sandbox sees it: text without credentials. */
export const refusalOf = (sandboxId: string, clean: (text: string) => string) => (error: Fault): SandboxFailed => {
  if (error._tag === "SandboxFailed") return error
  const stale = error._tag === "ChangeRefused" && error.reason === "Stale"
  return new SandboxFailed({
    sandboxId,
    reason: stale ? "Stale" : reasons[error._tag],
    detail: clean(error.message),
    versions: error._tag === "ChangeRefused" ? error.versions : []
  })
}
