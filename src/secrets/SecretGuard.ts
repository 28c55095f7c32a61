import { Context, Effect, Layer, Redacted, type Schema, type Scope } from "effect"
import { reasonsIn } from "./Allowance.ts"
import { findFormats, mayHoldFormat, type Place } from "./internal/FormatSearch.ts"
import { hasNeedlessEscapes, type Path, pathsAt, withPlainEscapes } from "./internal/JsonText.ts"
import { WatchedValues } from "./internal/WatchedValues.ts"
import { cut, redact } from "./Redaction.ts"
import { SecretRefused, SecretUnavailable } from "./SecretError.ts"
import { type Observation, SecretObserver } from "./SecretObserver.ts"
import type { SecretRef } from "./SecretRef.ts"
import { SecretsConfig } from "./SecretsConfig.ts"

/** A JSON text that is to be stored, or text that is none. */
export interface Payload {
  /** What a path begins with: `input`, `output`, `signal`. */
  readonly field: string
  readonly text: string
  /** The schema that encoded the text; fields of it that are marked with `allow` may hold what looks like a secret. */
  readonly schema?: Schema.Schema.All | undefined
}

export interface Finding {
  readonly path: string
  readonly kind: "value" | "format"
  /** Which secret (`env:API_KEY`) or which format (`github-token`). */
  readonly found: string
}

/** Beyond these a text is refused, whatever its schema allows. */
const maxPlaces = 1_000
/** What of an allowed text is told to the observer. */
const maxAllowed = 16
const pathChars = 512

/**
 * Keeps secrets out of what is stored, logged and shown.
 *
 * Finds text of a well-known credential format, and every value resolved in this process: as it is, in JSON (also escaped
 * needlessly, and nested three deep), base64, base64url, hex or URL-encoded, and the secret members of a value that is a
 * JSON document. Guards against accidents: who wants to hide a value from it can. Takes time linear in the text.
 */
export class SecretGuard extends Context.Tag("smithers-orchestrator/secrets/SecretGuard")<SecretGuard, {
  /** Nearly always false, and then cheaply (about 1 µs for 200 characters): only what is true needs `check`. */
  readonly suspects: (text: string) => boolean
  /** Fails for a text that holds a secret where its schema does not allow it; the path names the first one. */
  readonly check: (payload: Payload) => Effect.Effect<void, SecretRefused>
  /** What a text holds, in order, at most `limit`. Not told to the observer. */
  readonly findings: (payload: Payload, limit: number) => ReadonlyArray<Finding>
  /** The text without secrets and whatever else looks like one. Ids and hashes are left. */
  readonly redact: (text: string) => string
  /**
   * Watches a value that did not come from a provider, a token of our own for instance, while the scope lasts and then
   * until its place is needed. Fails for one shorter than 8 characters and when too many are in use.
   */
  readonly watch: (
    ref: SecretRef,
    value: Redacted.Redacted
  ) => Effect.Effect<void, SecretUnavailable, Scope.Scope>
}>() {}

const watchProblems = {
  TooShort: "it has less than 8 characters, so it could not be told from ordinary text",
  TooMany: "too many values are in use"
} as const

const byEnd = (left: Place, right: Place): number => left.end - right.end || left.start - right.start

/** `input.items[3]["a b"]`; a key that holds a secret is redacted, a long path is cut. */
const pathText = (field: string, { inKey, steps }: Path, redactText: (text: string) => string): string => {
  let text = field
  for (const step of steps) {
    if (text.length > pathChars) break
    const key = typeof step === "number" ? step : cut(redactText(step), 64)
    text += typeof key === "number" ? `[${key}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `["${key}"]`
  }
  return cut(inKey ? `${text} (a key)` : text, pathChars)
}

const makeGuard = Effect.gen(function*() {
  const { maxChars, maxValues } = yield* SecretsConfig
  const { observe } = yield* SecretObserver
  const watched = new WatchedValues(maxValues, maxChars)

  const places = (text: string, limit: number): ReadonlyArray<Place> =>
    [...findFormats(text, limit), ...watched.index.find(text, limit)].sort(byEnd).slice(0, limit)

  /** A value may be hidden by its escapes; what is found in the plain text has the same path in the given one. */
  const plain = (text: string): string => hasNeedlessEscapes(text) ? withPlainEscapes(text) : text

  const suspects = (text: string): boolean => mayHoldFormat(text) || watched.index.has(text) || hasNeedlessEscapes(text)

  const redactText = (given: string): string => {
    const visible = plain(given)
    const text = visible !== given && places(visible, 1).length > 0 ? visible : given
    const found = watched.index.find(text)
    if (found.length === 0) return redact(text)
    let clean = ""
    let from = 0
    for (const { end, start } of [...found].sort((left, right) => left.start - right.start)) {
      if (start >= from) clean += `${text.slice(from, start)}[redacted]`
      from = Math.max(from, end)
    }
    return redact(clean + text.slice(from))
  }

  const locate = (field: string, text: string, found: ReadonlyArray<Place>) => {
    const paths = pathsAt(text, found.map(({ end }) => end - 1))
    return found.map(({ kind, name }, index) => ({
      path: paths[index]!,
      finding: (): Finding => ({ path: pathText(field, paths[index]!, redactText), kind, found: name })
    }))
  }

  const examine = ({ field, schema, text: given }: Payload): Effect.Effect<void, SecretRefused> => {
    const text = plain(given)
    const found = places(text, maxPlaces)
    if (found.length === 0) return Effect.void
    const reasonAt = schema === undefined ? () => undefined : reasonsIn(schema, text)
    const located = locate(field, text, schema === undefined ? found.slice(0, 1) : found)
    const observations: Array<Observation> = []
    for (const [index, { finding, path }] of located.entries()) {
      const reason = reasonAt(path)
      if (reason === undefined || index === maxPlaces - 1) {
        const refused = finding()
        return Effect.zipRight(observe({ _tag: "Refused", ...refused }), new SecretRefused(refused))
      }
      if (index < maxAllowed) observations.push({ _tag: "Allowed", ...finding(), reason })
    }
    return Effect.forEach(observations, observe, { discard: true })
  }

  return SecretGuard.of({
    suspects,
    check: (payload) => Effect.suspend(() => suspects(payload.text) ? examine(payload) : Effect.void),
    findings: ({ field, text: given }, limit) => {
      if (!suspects(given)) return []
      const text = plain(given)
      return locate(field, text, places(text, limit)).map(({ finding }) => finding())
    },
    redact: redactText,
    watch: Effect.fn("SecretGuard.watch")(function*({ name, provider }, value) {
      yield* Effect.acquireRelease(
        Effect.suspend(() => {
          const release = watched.watch(`${provider}:${name}`, Redacted.value(value))
          return typeof release === "function"
            ? Effect.succeed(release)
            : new SecretUnavailable({ provider, secretName: name, reason: release, detail: watchProblems[release] })
        }),
        (release) => Effect.sync(release)
      )
    })
  })
})

/** The guard of this process; knows the formats at once and each value from its first resolution on. */
export const layer = Layer.effect(SecretGuard, makeGuard)
