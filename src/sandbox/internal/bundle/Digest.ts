import { Schema } from "effect"
import { createHash, hash } from "node:crypto"

/** Lower-case hexadecimal. */
export const Sha256 = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{64}$/),
  Schema.annotations({ identifier: "Sha256" })
)

export const sha256 = (content: string | Uint8Array): string => hash("sha256", content, "hex")

export const newHash = () => createHash("sha256")

const sorted = (_name: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
    : value

/** SHA-256 of plain data: of its JSON with the members of every object sorted by name. */
export const digestOf = (value: unknown): string => sha256(JSON.stringify(value, sorted))
