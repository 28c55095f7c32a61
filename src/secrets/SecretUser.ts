import { Context } from "effect"
import type { Tenant } from "../model/index.ts"

/**
 * The run for which secrets are resolved, and whose it is. The engine says so to the bodies of its runs, the sandbox of
 * what it executes; null: no run.
 */
export class SecretUser extends Context.Reference<SecretUser>()("smithers-orchestrator/secrets/SecretUser", {
  defaultValue: (): { readonly runId: string; readonly tenant: Tenant | null } | null => null
}) {}
