import { Effect, ParseResult, Schema } from "effect"
import { BundleLimits } from "./BundleLimits.ts"
import { type BundleRefused, refuse } from "./BundleRefused.ts"
import { DiffBundle, refuseEach, refusePaths } from "./DiffBundle.ts"

const Name = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(BundleLimits.runIdChars))

/** `README.md` of a request: JSON in spite of its name (the layout is that of the wire, `wire-protocol.md` §9). */
export const RequestManifest = Schema.Struct({
  status: Schema.Literal("pending"),
  /** 1–256 characters, like the two others. */
  sandboxId: Name,
  provider: Name,
  runtime: Name,
  /** Any JSON. */
  input: Schema.Unknown
})
export type RequestManifest = typeof RequestManifest.Type

/** `README.md` of a result. */
export const ResultManifest = Schema.Struct({
  /** Any JSON of at most 16 levels, arrays of at most 512 elements, strings of at most 65,536 characters. */
  outputs: Schema.optional(Schema.Unknown),
  status: Schema.Literal("finished", "failed", "cancelled"),
  runId: Schema.optional(Schema.String.pipe(Schema.maxLength(BundleLimits.runIdChars))),
  /** Paths of files under `patches/`; at most 1,000. */
  patches: Schema.optional(Schema.Array(Schema.String).pipe(Schema.maxItems(BundleLimits.patches))),
  diffBundle: Schema.optional(DiffBundle)
})
export type ResultManifest = typeof ResultManifest.Type

export const manifestName = "README.md"

const RequestText = Schema.parseJson(RequestManifest)
const ResultText = Schema.parseJson(ResultManifest)

/** The first place where outputs break a bound, and the bound. */
const problemOfOutputs = (value: unknown, path: string, depth = 1): readonly [string, string] | undefined => {
  if (typeof value === "string") {
    return value.length > BundleLimits.outputsStringChars
      ? [path, `a string has at most ${BundleLimits.outputsStringChars} characters`]
      : undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  if (depth > BundleLimits.outputsDepth) return [path, `at most ${BundleLimits.outputsDepth} levels`]
  if (Array.isArray(value) && value.length > BundleLimits.outputsElements) {
    return [path, `an array has at most ${BundleLimits.outputsElements} elements`]
  }
  for (const [name, member] of Object.entries(value)) {
    const place = Array.isArray(value) ? `${path}[${name}]` : `${path}.${name.slice(0, 64)}`
    // Whoever copies such an object by assignment would give it another prototype.
    if (name === "__proto__") return [place, "no member of this name"]
    const problem = problemOfOutputs(member, place, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

const invalid = (bound: string): BundleRefused => refuse("Manifest", manifestName, bound)

/** The rules of a manifest that do not belong to its shape. */
const check = (manifest: ResultManifest): BundleRefused | undefined => {
  const outputs = problemOfOutputs(manifest.outputs, "outputs")
  if (outputs !== undefined) return refuse("Manifest", outputs[0], outputs[1])
  const patches = manifest.patches ?? []
  const refused = refusePaths(patches) ?? refuseEach(manifest.diffBundle?.patches.map(({ path }) => path) ?? [])
  if (refused !== undefined) return refused
  const outside = patches.find((path) => !path.startsWith("patches/"))
  if (outside !== undefined) return refuse("Layout", outside, "a listed patch lies in `patches/`")
  return new Set(patches).size < patches.length ? invalid("`patches` names a file once") : undefined
}

const maxReasonChars = 256

/** The first thing that does not fit its schema, on one line: it may quote what nobody vouches for. */
const unfit = (error: ParseResult.ParseError): BundleRefused => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  const place = issue?.path.map(String).join(".") ?? ""
  const reason = issue?.message.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, maxReasonChars) ?? ""
  return refuse("Manifest", place === "" ? manifestName : place, `not a manifest: ${reason}`)
}

/** Reads the manifest of a result that nobody vouches for. */
export const parseResult = (text: string): Effect.Effect<ResultManifest, BundleRefused> =>
  Schema.decode(ResultText)(text).pipe(
    Effect.mapError(unfit),
    Effect.filterOrElse(
      (manifest) => check(manifest) === undefined,
      (manifest) => check(manifest) ?? invalid("not a manifest")
    )
  )

/** The text of a request's manifest; refused when it breaks a bound. */
export const formatRequest = (manifest: RequestManifest): Effect.Effect<string, BundleRefused> =>
  Effect.flatMap(
    Effect.mapError(Schema.encode(RequestText)(manifest), unfit),
    bounded
  )

/** The same for a result that we write in place of a provider. */
export const formatResult = (manifest: ResultManifest): Effect.Effect<string, BundleRefused> =>
  Effect.suspend(() =>
    check(manifest) ?? Effect.flatMap(
      Effect.mapError(Schema.encode(ResultText)(manifest), unfit),
      bounded
    )
  )

const bounded = (text: string): Effect.Effect<string, BundleRefused> =>
  Buffer.byteLength(text) > BundleLimits.manifestBytes
    ? refuse("FileSize", manifestName, `a manifest has at most ${BundleLimits.manifestBytes} bytes`)
    : Effect.succeed(text)
