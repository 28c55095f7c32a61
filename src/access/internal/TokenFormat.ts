import { Effect, Redacted } from "effect"
import { hash, randomBytes } from "node:crypto"
import { crc32 } from "node:zlib"

/**
 * A secret is `smithers_` + 43 base64url characters (256 random bits) + `_` + 6 base62 characters: the CRC-32 of all
 * that stands before the last underscore. So a mistyped or truncated token is told from a wrong one without a look-up,
 * and a scanner that finds `smithers_[A-Za-z0-9_-]{43}_[A-Za-z0-9]{6}` can tell a token from an accident.
 */
const shape = /^smithers_[A-Za-z0-9_-]{43}_[0-9A-Za-z]{6}$/
const bodyChars = "smithers_".length + 43

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const checksum = (body: string): string => {
  let rest = crc32(body)
  let text = ""
  for (let i = 0; i < 6; i++) {
    text = base62[rest % 62]! + text
    rest = Math.floor(rest / 62)
  }
  return text
}

/** A new secret. */
export const generate: Effect.Effect<Redacted.Redacted> = Effect.sync(() => {
  const body = `smithers_${randomBytes(32).toString("base64url")}`
  return Redacted.make(`${body}_${checksum(body)}`)
})

/** Whether the text is, checksum included, what `generate` makes. */
const isWellFormed = (text: string): boolean =>
  shape.test(text) && checksum(text.slice(0, bodyChars)) === text.slice(bodyChars + 1)

/** Whether a secret stands anywhere in the text: nobody means to store that. */
export const containsSecret = (text: string): boolean => /smithers_[A-Za-z0-9_-]{43}/.test(text)

/** An admin token that the operator chose may look otherwise: 16–512 visible ASCII characters. */
const chosen = /^[\x21-\x7e]{16,512}$/

/** Whether a grant may exist for the text: ours and intact, or chosen by the operator and not pretending to be ours. */
export const isPlausible = (text: string): boolean =>
  text.startsWith("smithers_") ? isWellFormed(text) : chosen.test(text)

export const sha256 = (text: string): string => hash("sha256", text, "hex")

/** The public name of the token with this hash. */
export const tokenIdOf = (sha256: string): string => sha256.slice(0, 16)
