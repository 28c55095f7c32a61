/**
 * Formats of well-known credentials. They are cut out of whatever text we store or log: a failure message may quote the
 * request, the command line or the URL that failed.
 */
const patterns: ReadonlyArray<RegExp> = [
  /\bsmithers_[A-Za-z0-9_-]{20,}/g,
  /\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}/g,
  /\bgithub_pat_[A-Za-z0-9_]{20,}/g,
  /\bglpat-[A-Za-z0-9_-]{20,}/g,
  /\bsk-[A-Za-z0-9_-]{20,}/g,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bAIza[A-Za-z0-9_-]{35}/g,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi
]

/** User and password of a URL; the rest of the address stays readable. */
const urlCredentials = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@:]+:[^\s/@]+@/gi

const redacted = "[redacted]"

/** The text without anything that looks like a credential. */
export const redact = (text: string): string => {
  let result = text.replace(urlCredentials, `$1${redacted}@`)
  for (const pattern of patterns) result = result.replace(pattern, redacted)
  return result
}
