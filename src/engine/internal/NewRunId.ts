import { randomBytes } from "node:crypto"

let lastMs = 0
let counter = 0

/**
 * A UUID of version 7 (RFC 9562 §5.7, with a counter as in §6.2 method 1): ids of runs that start together stand together,
 * and so do their rows, which therefore share the pages that a commit has to write.
 */
export const newRunId = (nowMs: number): string => {
  const bytes = randomBytes(16)
  if (nowMs > lastMs) {
    lastMs = nowMs
    counter = bytes.readUInt16BE(6) & 0x07ff
  } else if (++counter > 0x0fff) {
    lastMs++
    counter = 0
  }
  bytes.writeUIntBE(lastMs, 0, 6)
  bytes.writeUInt16BE(0x7000 | counter, 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  const hex = bytes.toString("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
