import type { InvalidSecretInput, SecretNotFound, SecretUnavailable } from "../../secrets/index.ts"
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
