import { Effect, Option, Schema } from "effect"
import type { ApprovalRow } from "../gateway/contract.ts"
import { type ReviewedFile, SandboxReview } from "../model/index.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { shownDiff } from "./DiffText.ts"
import { bold } from "./Style.ts"
import { prettyJson } from "./Table.ts"
import { visible } from "./Visible.ts"

const decodeReview = Schema.decodeUnknownOption(SandboxReview)

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

const versions = ({ base, produced }: ReviewedFile): string =>
  `SHA-256 ${base ?? "none"} before, ${produced ?? "none"} after`

const contentText = (file: ReviewedFile): string => {
  if (file.diff === null) return `The diff is too long to be shown. ${versions(file)}`
  switch (file.content) {
    case "text":
      return shownDiff(file.diff, { numbered: true })
    case "same":
      return shownDiff(file.diff)
    case "binary":
    case "large":
      return `${file.content === "binary" ? "Binary" : "Large"} file. ${versions(file)}`
  }
}

const fileText = (file: ReviewedFile): string => {
  const name = file.from === null ? file.path : `${file.from} → ${file.path}`
  const size = file.content === "text"
    ? `  +${file.added} -${file.removed}, ${counted(file.hunks, "hunk")}`
    : ""
  return `${bold(visible(`${file.operation} ${name}`))}${size}\n${contentText(file)}`
}

const reviewText = ({ files, target }: SandboxReview): string =>
  [
    `${counted(files.length, "changed file")} for ${visible(target)}`,
    ...files.map(fileText),
    "Accept a part: --accept <path>, or --accept <path>:1,3 for some hunks; the rest is rejected."
  ].join("\n\n")

/** What an approval asks, for people: the changes of a sandbox as diffs, anything else as it is. */
export const payloadText = ({ payload }: ApprovalRow): string =>
  Option.match(decodeReview(payload), { onNone: () => prettyJson(payload), onSome: reviewText })

interface Accepted {
  readonly path: string
  readonly accept: true
  readonly hunks?: ReadonlyArray<number>
}

const refused = (message: string, fix: string) =>
  new CommandFailed({ outcome: "usage", code: "INVALID_INPUT", field: "--accept", message, fix })

/** `path` or `path:1,3` against the files of the review. */
const acceptedOf = (text: string, files: ReadonlyArray<ReviewedFile>) => {
  const [, path = "", list] = /^([^:]*)(?::(.*))?$/.exec(text) ?? []
  const file = files.find((each) => each.path === path)
  if (file === undefined) {
    return refused(
      `--accept "${text}": ${path === "" ? "a path" : path} is not one of the changed files.`,
      "Give <path>, or <path>:1,3 for some of its hunks."
    )
  }
  if (list === undefined) return Effect.succeed<Accepted>({ path, accept: true })
  const hunks = list.split(",").map((number) => /^[1-9]\d{0,5}$/.test(number) ? Number(number) : 0)
  if (hunks.some((number) => number < 1 || number > file.hunks) || new Set(hunks).size < hunks.length) {
    return refused(
      `--accept "${text}": ${
        file.hunks === 0 ? `${path} is accepted as a whole or not at all.` : `${path} has hunks 1 to ${file.hunks}.`
      }`,
      "Name each hunk once: <path>:1,3."
    )
  }
  return Effect.succeed<Accepted>({ path, accept: true, hunks })
}

/** What the reviewer answers with: the accepted files and hunks. Nothing is sent that the review cannot mean. */
export const selectionOf = Effect.fnUntraced(function*(approval: ApprovalRow, accept: ReadonlyArray<string>) {
  const review = decodeReview(approval.payload)
  if (Option.isNone(review)) {
    return yield* refused(
      `${approval.nodeId} asks for no review of files.`,
      "Leave --accept out to approve what it asks."
    )
  }
  const accepted = yield* Effect.forEach(accept, (text) => acceptedOf(text, review.value.files))
  const twice = accepted.find(({ path }, index) => accepted.findIndex((other) => other.path === path) < index)
  if (twice !== undefined) {
    return yield* refused(`--accept names ${twice.path} twice.`, "Name each file once.")
  }
  return { accept: accepted }
})
