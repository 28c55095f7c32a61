import { Context, Effect } from "effect"
import type { SecretUnavailable } from "./SecretError.ts"
import type { SecretUser } from "./SecretUser.ts"

/** What happened to a secret; names only. */
export type Observation =
  /** Somebody asked for a value and got it, or did not. */
  | {
    readonly _tag: "Resolved"
    readonly provider: string
    readonly name: string
    readonly outcome: "ok" | "SecretNotFound" | "SecretUnavailable"
    /** Why it is unavailable. */
    readonly reason: SecretUnavailable["reason"] | null
    /** For which run; null: for none. */
    readonly user: SecretUser["Type"]
    /** The provider that keeps what a reference of an organization points to, once that is known; null of any other. */
    readonly keptBy: string | null
  }
  /** A text was not stored. */
  | { readonly _tag: "Refused"; readonly path: string; readonly kind: "value" | "format"; readonly found: string }
  /** A text was stored although it holds a secret, since its schema says why it may. */
  | {
    readonly _tag: "Allowed"
    readonly path: string
    readonly kind: "value" | "format"
    readonly found: string
    readonly reason: string
  }

/**
 * Told of every use of a secret, for an audit; to be filled from above, nobody unless provided. A value is handed out only
 * after its observation is done, so an observer that waits for a commit makes the record come first.
 */
export class SecretObserver
  extends Context.Reference<SecretObserver>()("smithers-orchestrator/secrets/SecretObserver", {
    defaultValue: (): { readonly observe: (observation: Observation) => Effect.Effect<void> } => ({
      observe: () => Effect.void
    })
  })
{}
