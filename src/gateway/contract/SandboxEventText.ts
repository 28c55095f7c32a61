import { Option, Schema } from "effect"

const optionalText = Schema.optional(Schema.NullOr(Schema.String))
const optionalCount = Schema.optional(Schema.NullOr(Schema.Number))

/** What people are told of an event of a sandbox. */
const Said = Schema.Struct({
  runtime: optionalText,
  isolated: Schema.optional(Schema.Boolean),
  workflow: optionalText,
  policy: Schema.optional(
    Schema.Struct({
      ports: Schema.optional(Schema.Array(Schema.Struct({ host: Schema.Number, sandbox: Schema.Number })))
    })
  ),
  proof: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({ enforced: Schema.Boolean })))),
  bundleSizeBytes: optionalCount,
  outputBytes: optionalCount,
  patchCount: optionalCount,
  totalDiffLines: optionalCount,
  accepted: optionalCount,
  partial: optionalCount,
  rejected: optionalCount,
  durationMs: optionalCount,
  reason: optionalText,
  by: optionalText,
  error: optionalText,
  stream: optionalText,
  text: optionalText,
  output: optionalText
})
type Said = typeof Said.Type

const decode = Schema.decodeUnknownOption(Said)

const shownChars = 160

/** The first line, and how many there are besides. */
const firstLine = (text: string): string => {
  const [first = "", ...others] = text.trimEnd().split("\n")
  const cut = first.length > shownChars ? `${first.slice(0, shownChars - 1)}…` : first
  return others.length === 0 ? cut : `${cut} (and ${others.length} more lines)`
}

const output = ({ output, stream, text }: Said) => `${stream ?? "stdout"}: ${firstLine(text ?? output ?? "")}`

const texts: Readonly<Record<string, (said: Said) => string>> = {
  NodeOutput: output,
  "task.output": output,
  SandboxCreated: ({ isolated, policy, proof, runtime, workflow }) =>
    [
      runtime ?? "",
      isolated === false
        ? "which isolates nothing"
        : `${proof?.filter(({ enforced }) => enforced).length ?? 0} controls proved`,
      ...(workflow ? [`workflow ${workflow}`] : []),
      ...(policy?.ports ?? []).map(({ host, sandbox }) => `port ${host} leads to its port ${sandbox}`)
    ].join(", "),
  SandboxShipped: ({ bundleSizeBytes, runtime }) => `to ${runtime ?? ""}, a request of ${bundleSizeBytes ?? 0} bytes`,
  SandboxHeartbeat: ({ outputBytes }) => `${outputBytes ?? 0} bytes of output`,
  SandboxBundleReceived: ({ bundleSizeBytes, patchCount }) =>
    `${patchCount ?? 0} changed files, ${bundleSizeBytes ?? 0} bytes`,
  SandboxDiffReviewRequested: ({ patchCount, totalDiffLines }) =>
    `${patchCount ?? 0} changed files, ${totalDiffLines ?? 0} lines`,
  SandboxDiffAccepted: ({ accepted, partial, rejected }) =>
    `${accepted ?? 0} files accepted, ${partial ?? 0} in part, ${rejected ?? 0} rejected`,
  SandboxDiffRejected: ({ by, reason }) => [`by ${by ?? "nobody"}`, ...(reason ? [reason] : [])].join(": "),
  SandboxCompleted: ({ durationMs, runtime }) => `${runtime ?? ""}, ${Math.round(durationMs ?? 0)} ms`,
  SandboxFailed: ({ error, reason }) => [reason, error].filter((part) => part).join(": ")
}

/**
 * An event of a sandbox in words, by its stored or its live name; undefined for another event. It may quote what a
 * command wrote: whoever shows it on a terminal escapes it.
 */
export const sandboxEventText = (event: string, payload: unknown): string | undefined => {
  const text = texts[event]
  return text === undefined ? undefined : Option.match(decode(payload), { onNone: () => "", onSome: text })
}
