/**
 * A well-known format of credentials: precise enough that a stored text which has it is refused. So each has an issuer's
 * prefix, and what follows is as long as the issuer makes it; a bare hash, uuid or base64 text has none of them.
 */
export interface CredentialFormat {
  /** Named in errors and findings in place of what was found. */
  readonly name: string
  /** Where the format is described. */
  readonly source: string
  /** Source of a regular expression, looked for wherever no word goes on. Each quantifier is bounded or at the end. */
  readonly shape: string
  /** A part of the shape by which most texts without one are told at once; the shape itself unless given. */
  readonly anchor?: string
}

const letters = "[A-Za-z0-9]"
const url = "[A-Za-z0-9_-]"
const base64 = "[A-Za-z0-9+/]"
const noMore = `(?!${url})`
/** Text of at least a digit within its first 32 characters: what a program drew, not what somebody named. */
const drawn = `(?=${url}{0,31}[0-9])`
/** Line ends as they are, and as JSON writes them, in JSON within JSON too. */
const lineEnd = "[\\\\nr\\s]{1,16}"

export const formats: ReadonlyArray<CredentialFormat> = [
  {
    name: "smithers-token",
    source: "src/access/internal/TokenFormat.ts",
    shape: `smithers_(?:action_${drawn}${url}{32}|${drawn}(?=${url}{0,42}[A-Z])${url}{43})`,
    anchor: `smithers_${url}{39}`
  },
  {
    name: "aws-access-key-id",
    source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
    // The keys of AWS's own documentation end in EXAMPLE.
    shape: `(?:AKIA|ASIA)(?![A-Z2-7]{9}EXAMPLE)[A-Z2-7]{16}${noMore}`,
    anchor: "A[KS]IA[A-Z2-7]{16}"
  },
  {
    name: "aws-secret-access-key",
    source: "https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html",
    shape:
      `(?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY|[sS]ecretAccessKey)[\\\\"'\\s:=]{1,12}(?!${base64}{0,37}EXAMPLE)${base64}{40}(?![A-Za-z0-9+/=])`,
    anchor: "ecret_access_key|SECRET_ACCESS_KEY|ecretAccessKey"
  },
  {
    name: "github-token",
    source:
      "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
    shape: `gh[pousr]_${letters}{36,}`,
    anchor: `gh[pousr]_${letters}{36}`
  },
  {
    name: "github-fine-grained-token",
    source:
      "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
    shape: `github_pat_${letters}{22}_${letters}{59}`,
    anchor: "github_pat_"
  },
  {
    name: "gitlab-token",
    source: "https://docs.gitlab.com/security/tokens/#token-prefixes",
    shape: `gl(?:pat|dt|rt|ptt|ft|soat|agent|oas|imt|cbt)-${drawn}${url}{20,}`,
    anchor: `gl[a-z]{2,5}-${url}{20}`
  },
  {
    name: "slack-token",
    source: "https://docs.slack.dev/authentication/tokens",
    shape: `(?:xox[abeoprs]-(?:[0-9]-)?${drawn}[A-Za-z0-9-]{20,}|xapp-[0-9]-[A-Z0-9]{8,16}-[0-9]{8,16}-[a-z0-9]{32,})`,
    anchor: "xox[abeoprs]-|xapp-[0-9]-"
  },
  {
    name: "slack-webhook",
    source: "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    shape: `hooks\\.slack\\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/${drawn}${letters}{24}`,
    anchor: "hooks\\.slack\\.com/services/T"
  },
  {
    name: "anthropic-key",
    source: "https://docs.anthropic.com/en/api/getting-started",
    shape: `sk-ant-[a-z]{3,5}[0-9]{2}-${url}{80,}`,
    anchor: `sk-ant-[a-z]{3,5}[0-9]{2}-`
  },
  {
    name: "openai-key",
    source: "https://platform.openai.com/docs/api-reference/authentication",
    shape: `sk-(?:(?:proj|svcacct|admin|None)-${drawn}${url}{40,}|(?=${letters}{0,31}[0-9])${letters}{32,})`,
    anchor: `sk-(?:(?:proj|svcacct|admin|None)-${url}{40}|${letters}{32})`
  },
  {
    name: "openrouter-key",
    source: "https://openrouter.ai/docs/api-reference/authentication",
    shape: "sk-or-v1-[0-9a-f]{64}",
    anchor: "sk-or-v1-"
  },
  {
    name: "google-api-key",
    source: "https://cloud.google.com/docs/authentication/api-keys",
    shape: `AIza${drawn}${url}{35}${noMore}`,
    anchor: `AIza${url}{35}`
  },
  {
    name: "google-oauth-secret",
    source: "https://developers.google.com/identity/protocols/oauth2",
    shape: `(?:GOCSPX-${url}{28}|ya29\\.${drawn}${url}{40,})`,
    anchor: "GOCSPX-|ya29\\."
  },
  {
    name: "stripe-key",
    source: "https://docs.stripe.com/keys",
    shape: `(?:[rs]k_live_${letters}{24,}|whsec_${base64}{32,})`,
    anchor: "[rs]k_live_|whsec_"
  },
  {
    name: "npm-token",
    source: "https://docs.npmjs.com/about-access-tokens",
    shape: `npm_${letters}{36}${noMore}`,
    anchor: `npm_${letters}{36}`
  },
  {
    name: "pypi-token",
    source: "https://warehouse.pypa.io/development/token-scanning.html",
    shape: `pypi-(?:AgEIcHlwaS5vcmc|AgENdGVzdC5weXBpLm9yZ)${url}{50,}`,
    anchor: "pypi-AgE"
  },
  {
    name: "json-web-token",
    source: "https://www.rfc-editor.org/rfc/rfc7519",
    // Both header and payload are JSON objects, whose base64url begins so.
    shape: `eyJ${url}{8,}\\.eyJ${url}{8,}\\.${url}{20,}`,
    anchor: "\\.eyJ"
  },
  {
    name: "private-key",
    source: "https://www.rfc-editor.org/rfc/rfc7468",
    shape:
      `-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----${lineEnd}(?:[A-Za-z0-9+/=]{20}|Proc-Type:|Version:|Comment:)`,
    anchor: "PRIVATE KEY(?: BLOCK)?-----"
  },
  {
    name: "azure-storage-key",
    source: "https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string",
    shape: `(?:AccountKey|SharedAccessKey)=${base64}{43,86}==?`,
    anchor: "(?:AccountKey|SharedAccessKey)="
  },
  {
    name: "azure-client-secret",
    source: "https://learn.microsoft.com/en-us/purview/sit-defn-client-secret-api-key",
    shape: `[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])`,
    anchor: "[0-9]Q~"
  },
  {
    name: "sendgrid-key",
    source: "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
    shape: `SG\\.${url}{22}\\.${url}{43}${noMore}`,
    anchor: `SG\\.${url}{22}\\.`
  },
  {
    name: "twilio-key",
    source: "https://www.twilio.com/docs/iam/api-keys",
    shape: `SK[0-9a-f]{32}${noMore}`,
    anchor: "SK[0-9a-f]{32}"
  },
  {
    name: "huggingface-token",
    source: "https://huggingface.co/docs/hub/security-tokens",
    shape: `hf_${letters}{34,}`,
    anchor: `hf_${letters}{34}`
  },
  {
    name: "groq-key",
    source: "https://console.groq.com/docs/quickstart",
    shape: `gsk_${letters}{52}`,
    anchor: `gsk_${letters}{52}`
  },
  {
    name: "digitalocean-token",
    source: "https://docs.digitalocean.com/reference/api/create-personal-access-token/",
    shape: "do[opr]_v1_[0-9a-f]{64}",
    anchor: "do[opr]_v1_"
  },
  {
    name: "vault-token",
    source: "https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes",
    shape: `hv[sbr]\\.${drawn}${url}{24,}`,
    anchor: `hv[sbr]\\.${url}{24}`
  },
  {
    name: "docker-token",
    source: "https://docs.docker.com/security/access-tokens/",
    shape: `dckr_(?:pat|oat)_${url}{27,}`,
    anchor: "dckr_[po]at_"
  },
  {
    name: "databricks-token",
    source: "https://docs.databricks.com/aws/en/dev-tools/auth/pat",
    shape: `dapi[0-9a-f]{32}(?:-[0-9])?${noMore}`,
    anchor: "dapi[0-9a-f]{32}"
  },
  {
    name: "age-secret-key",
    source: "https://age-encryption.org/v1",
    shape: "AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}",
    anchor: "AGE-SECRET-KEY-1"
  }
]
