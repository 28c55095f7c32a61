import { Effect, Either, ParseResult, Schema } from "effect"
import { findFormats } from "./internal/FormatSearch.ts"
import { InvalidSecretInput } from "./SecretError.ts"

export const providerBound = "must be 1–64 characters of a-z, 0-9 and -, the first a letter"
const nameBound = "must be 1–1,024 characters, without control characters, not beginning with -, and no credential"

/** Whether a provider may be called so. */
export const isProviderId = (text: string): boolean => /^[a-z][a-z0-9-]{0,63}$/.test(text)

/** Messages of their own: the ones of Schema quote what was given, which somebody may have taken for the place of a secret. */
const Provider = Schema.String.pipe(
  Schema.filter(isProviderId, { message: () => `provider ${providerBound}` }),
  Schema.annotations({ arbitrary: () => (fc) => fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/) })
)

const isName = (text: string): boolean =>
  text.length >= 1 && text.length <= 1_024 && !/^-|[\p{Cc}\p{Cs}]/u.test(text) &&
  findFormats(text).length === 0

const Name = Schema.String.pipe(
  Schema.filter(isName, { message: () => `name ${nameBound}` }),
  Schema.annotations({ arbitrary: () => (fc) => fc.string({ minLength: 1, maxLength: 40 }).filter(isName) })
)

/**
 * Names a secret and where it is kept. May be stored, logged and shown; a value never stands in it.
 *
 * The provider is one of the operator's: `env`, `file`, `cmd` or the id of another one. What a name looks like is up to
 * the provider: a variable, an absolute path, what the program of a secret manager takes.
 */
export const SecretRef = Schema.Struct({ provider: Provider, name: Name }).annotations({ identifier: "SecretRef" })
export type SecretRef = typeof SecretRef.Type

/** `env:NAME`, `file:/path`, `cmd:NAME`: all before the first colon is the provider. */
export const text = ({ name, provider }: SecretRef): string => `${provider}:${name}`

const parseEither = (given: string): Either.Either<SecretRef, InvalidSecretInput> => {
  const colon = given.indexOf(":")
  const provider = given.slice(0, Math.max(colon, 0))
  const name = given.slice(colon + 1)
  if (!isProviderId(provider)) {
    return Either.left(new InvalidSecretInput({ field: "provider", bound: `${providerBound}, followed by a colon` }))
  }
  return isName(name)
    ? Either.right({ provider, name })
    : Either.left(new InvalidSecretInput({ field: "name", bound: nameBound }))
}

/** A reference from its short form. What is wrong is said without quoting the text. */
export const parse = (given: string): Effect.Effect<SecretRef, InvalidSecretInput> =>
  Effect.suspend(() => parseEither(given))

/** The short form as a schema. */
export const SecretRefText = Schema.transformOrFail(Schema.String, Schema.typeSchema(SecretRef), {
  strict: true,
  decode: (given, _, ast) =>
    Either.mapLeft(parseEither(given), (error) => new ParseResult.Type(ast, "the text", error.message)),
  encode: (ref) => Either.right(text(ref))
}).annotations({ identifier: "SecretRefText" })
