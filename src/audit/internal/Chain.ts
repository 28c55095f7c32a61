import { hash } from "node:crypto"

/**
 * How the rows of the audit hang together. Whoever verifies without this program needs no more than this page.
 *
 * - The *content* of a row is its columns in the order of `columns`, from `id` to `detail_json`, each as
 *   `<bytes in UTF-8>:<text>,` and as `-,` when it is null; integers as decimal text.
 * - `digest` = SHA-256 of `smithers-audit-row-1\n` and the content.
 * - `hash` of a row = SHA-256 of the hash of the row before it followed by the digest, both as 64 hexadecimal digits.
 * - The first row follows `genesisOf` the log: SHA-256 of `smithers-audit-log-1\n` and the log's id.
 *
 * In two steps, so that an export proves its rows without the content of those it leaves out: their digests suffice.
 */
export const columns = [
  "id",
  "at_ms",
  "actor",
  "token_id",
  "role",
  "org_id",
  "project_id",
  "run_id",
  "action",
  "target",
  "outcome",
  "reason",
  "request_id",
  "trace_id",
  "deployment",
  "module_revision",
  "detail_json"
] as const

export type Content = ReadonlyArray<string | number | null>

const field = (value: string | number | null): string => {
  if (value === null) return "-,"
  const text = typeof value === "number" ? String(value) : value
  return `${Buffer.byteLength(text)}:${text},`
}

export const digestOf = (content: Content): string => {
  let text = "smithers-audit-row-1\n"
  for (const value of content) text += field(value)
  return hash("sha256", text, "hex")
}

/** The hash of the row with this digest that follows the row with the hash `previous`. */
export const link = (previous: string, digest: string): string => hash("sha256", previous + digest, "hex")

export const genesisOf = (logId: string): string => hash("sha256", `smithers-audit-log-1\n${logId}`, "hex")

/** The row that the next one follows. */
export const headText = "SELECT id, hash FROM _smithers_audit ORDER BY id DESC LIMIT 1"
