import { Either, ParseResult, Schema } from "effect"
import { DiffBundle } from "../DiffBundle.ts"

/** What a command says of itself (`wire-protocol.md` §9). */
export interface Reported {
  readonly status: "finished" | "failed" | "cancelled"
  /** Any JSON; null when it handed over nothing. */
  readonly outputs: unknown
  /** Why it failed, in its own words. */
  readonly error?: string | undefined
  /** Its own account of what it changed; without one the workspace is compared with its base. */
  readonly diffBundle?: DiffBundle | undefined
}

const Report = Schema.parseJson(Schema.Struct({
  status: Schema.Literal("finished", "failed", "cancelled"),
  output: Schema.optional(Schema.Unknown),
  outputs: Schema.optional(Schema.Unknown),
  error: Schema.optional(Schema.String),
  diffBundle: Schema.optional(DiffBundle)
}))

const Json = Schema.parseJson()
const decodeJson = Schema.decodeUnknownEither(Json)
const decodeReport = Schema.decodeUnknownEither(Report)

const hasStatus = (value: unknown): boolean => typeof value === "object" && value !== null && "status" in value

/**
 * Reads what was handed over. A result file must be JSON; a last line of output may be. An object with a `status` is a
 * report, anything else is the outputs themselves.
 */
export const reportOf = (text: string, isFile: boolean): Either.Either<Reported, string> => {
  const json = decodeJson(text)
  if (Either.isLeft(json)) {
    return isFile ? Either.left("is not JSON") : Either.right({ status: "finished", outputs: null })
  }
  if (!isFile || !hasStatus(json.right)) return Either.right({ status: "finished", outputs: json.right ?? null })
  return Either.mapBoth(decodeReport(text), {
    onLeft: (error) => ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? "is no report",
    onRight: ({ diffBundle, error, output, outputs, status }) => ({
      status,
      outputs: output ?? outputs ?? null,
      error,
      diffBundle
    })
  })
}
