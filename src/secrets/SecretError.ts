import { Schema } from "effect"

/** No provider has a secret of this name, or the provider says that it has none. */
export class SecretNotFound extends Schema.TaggedError<SecretNotFound>()("SecretNotFound", {
  provider: Schema.String,
  secretName: Schema.String
}) {
  override get message(): string {
    return `No secret ${this.provider}:${this.secretName}`
  }
}

/**
 * There may be such a secret, but it cannot be had, or must not be used.
 *
 * - `UnknownProvider`: no provider of this id is configured
 * - `Unreadable`: the file or the program cannot be opened
 * - `Exposed`: the file may be read or written by its group or by everybody
 * - `Failed`: the program ended with an error; what it said is not kept
 * - `TimedOut`: no answer in time
 * - `TooLarge`, `TooShort`, `NotText`: the value is outside the bounds, or no UTF-8 text without NUL
 * - `TooMany`: so many values are in use that the guard cannot watch another one
 * - `NoOrganization`: a secret of the run's organization is asked for, and there is no run or it belongs to none
 * - `NotAllowed`: the operator does not let references of organizations point where this one points
 */
export class SecretUnavailable extends Schema.TaggedError<SecretUnavailable>()("SecretUnavailable", {
  provider: Schema.String,
  secretName: Schema.String,
  reason: Schema.Literal(
    "UnknownProvider",
    "Unreadable",
    "Exposed",
    "Failed",
    "TimedOut",
    "TooLarge",
    "TooShort",
    "NotText",
    "TooMany",
    "NoOrganization",
    "NotAllowed"
  ),
  /** What to look at; never what a provider answered. */
  detail: Schema.String
}) {
  override get message(): string {
    return `Secret ${this.provider}:${this.secretName} is unavailable: ${this.detail}`
  }
}

/** A text that is to be stored holds a secret; nothing was written. */
export class SecretRefused extends Schema.TaggedError<SecretRefused>()("SecretRefused", {
  /** Where it stands: `input.config.apiKey`. */
  path: Schema.String,
  /** Whether the value of a secret was found, or text of a credential's format. */
  kind: Schema.Literal("value", "format"),
  /** Which secret (`env:API_KEY`) or which format (`github-token`). */
  found: Schema.String
}) {
  /** What is wrong at the path, for errors that name the path themselves. */
  get problem(): string {
    const what = this.kind === "value" ? `the value of secret ${this.found}` : `a credential (${this.found})`
    return `holds ${what}, which is never stored: pass a secret reference, or mark the field with Secrets.allow`
  }

  override get message(): string {
    return `${this.path} ${this.problem}`
  }
}

/** A reference, a setting or an environment is outside the bounds; nothing was resolved. */
export class InvalidSecretInput extends Schema.TaggedError<InvalidSecretInput>()("InvalidSecretInput", {
  field: Schema.String,
  /** What the field has to satisfy. */
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${this.bound}`
  }
}
