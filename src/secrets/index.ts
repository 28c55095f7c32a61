/**
 * **Secrets**: values where they are used, names everywhere else.
 *
 *     SecretRef ──► Secrets.resolve ──► provider (env · file · cmd · memory) ──► Redacted, wiped with its scope
 *                        │    ├─ OrgSecrets: what `org:NAME` of the run's organization points to
 *                        │    └─ observer: who was resolved, by name
 *                        ▼
 *                  SecretGuard knows the value ──► check: refuses to store it, in whatever encoding
 *                                             ──► redact: logs, spans and errors without it
 *                                             ──► SecretScan: finds what is stored already
 *
 * No schema encodes a value. What is refused names the path and the secret; `Secrets.allow` on a field lets it through
 * and tells the observer.
 */
export * as CommandProvider from "./CommandProvider.ts"
export { type CredentialFormat, formats as credentialFormats } from "./CredentialFormat.ts"
export * as EnvironmentProvider from "./EnvironmentProvider.ts"
export * as FileProvider from "./FileProvider.ts"
export * as MemoryProvider from "./MemoryProvider.ts"
export { orgProvider, OrgSecrets } from "./OrgSecrets.ts"
export * as RedactedLogger from "./RedactedLogger.ts"
export * as RedactedTracer from "./RedactedTracer.ts"
export * as Redaction from "./Redaction.ts"
export * as SandboxEnvironment from "./SandboxEnvironment.ts"
export { InvalidSecretInput, SecretNotFound, SecretRefused, SecretUnavailable } from "./SecretError.ts"
export * as SecretGuard from "./SecretGuard.ts"
export { type Observation, SecretObserver } from "./SecretObserver.ts"
export type { SecretProvider } from "./SecretProvider.ts"
export * as SecretProviders from "./SecretProviders.ts"
export * as SecretRef from "./SecretRef.ts"
export * as Secrets from "./Secrets.ts"
export * as SecretScan from "./SecretScan.ts"
export * as SecretsConfig from "./SecretsConfig.ts"
export { SecretUser } from "./SecretUser.ts"
