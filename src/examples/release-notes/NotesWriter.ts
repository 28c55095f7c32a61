import { Schema } from "effect"
import { type Change, type ChangeGroup, type Changes, countAuthors } from "./ChangeGroups.ts"
import { code, escape } from "./Markdown.ts"

/** One section of the notes. */
export const Draft = Schema.Struct({
  title: Schema.String,
  markdown: Schema.String,
  /** Changes for which there was no room; the section says so. */
  omitted: Schema.Int
})
export type Draft = typeof Draft.Type

/** An end of a range: what was asked for, and the commit that it was then. */
export const Point = Schema.Struct({ ref: Schema.String, hash: Schema.String })

/** What the notes are about. */
interface Subject {
  readonly name: string
  /** Null: from the first commit. */
  readonly from: typeof Point.Type | null
  readonly to: typeof Point.Type
  /** The clone has not all of the history. */
  readonly shallow: boolean
}

/**
 * Bytes of the notes. An approver has to see all that will be published, and 1 MiB of JSON, in which a line break or a
 * quotation mark takes two bytes, is what can be shown.
 */
const sectionBytes = 8 * 1024
const sharedBytes = 128 * 1024
const breakingBytes = 32 * 1024
const peopleShown = 100
const peopleOfSection = 3

const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

const short = (hash: string): string => code(hash.slice(0, 7))

const people = (changes: ReadonlyArray<Change>): string => {
  const all = countAuthors(changes)
  const shown = all.slice(0, peopleOfSection).map(({ name }) => escape(name))
  const more = all.length - shown.length
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${plural(more, "other")}`
}

const point = ({ breaking, hash, revertedBy, scope, text }: Change): string =>
  [
    "-",
    breaking === null ? "" : "**Breaking**",
    scope === null ? escape(text) : `**${escape(scope)}:** ${escape(text)}`,
    `(${short(hash)})`,
    revertedBy === null ? "" : `– taken back by ${short(revertedBy)}`
  ].filter((part) => part !== "").join(" ")

/** As many lines as fit, and a line that says how many did not. */
const fill = (lines: ReadonlyArray<string>, bytes: number) => {
  let used = 0
  const end = lines.findIndex((line) => (used += Buffer.byteLength(line) + 1) > bytes)
  const shown = end === -1 ? lines : lines.slice(0, end)
  const omitted = lines.length - shown.length
  const note = `- _… and ${plural(omitted, "more change")} for which there is no room here._`
  return { lines: omitted === 0 ? shown : [...shown, note], omitted }
}

/** Drafts one section by rules: nothing is judged, summarised or reworded. */
export const draft = (group: ChangeGroup, all: Changes): Draft => {
  const room = sectionBytes + Math.floor(sharedBytes * group.changes.length / all.changes)
  const { lines, omitted } = fill(group.changes.map(point), room)
  const summary = group.changes.length === 1 || all.authors.length === 1
    ? []
    : [`_${plural(group.changes.length, "change")} by ${people(group.changes)}_`, ""]
  return {
    title: group.title,
    markdown: [`## ${escape(group.title)}`, "", ...summary, ...lines].join("\n"),
    omitted
  }
}

const breakingSection = ({ groups }: Changes): ReadonlyArray<string> => {
  const changes = groups.flatMap((group) => group.changes).filter(({ breaking }) => breaking !== null)
  if (changes.length === 0) return []
  const lines = changes.map((change) => point({ ...change, text: change.breaking ?? change.text, breaking: null }))
  return ["## Breaking changes", "", ...fill(lines, breakingBytes).lines, ""]
}

const contributors = ({ authors }: Changes): string => {
  const shown = authors.slice(0, peopleShown).map(({ changes, name }) => `${escape(name)} (${changes})`)
  const more = authors.length - shown.length
  return more === 0 ? `${shown.join(", ")}.` : `${shown.join(", ")} and ${plural(more, "other")}.`
}

/** What an approver reads first. */
export const headline = ({ from, to }: Subject, { authors, breaking, changes }: Changes): string =>
  `${plural(changes, "change")}${breaking === 0 ? "" : ` (${breaking} breaking)`} by ` +
  `${plural(authors.length, "person", "people")}, from ${from?.ref ?? "the first commit"} to ${to.ref}`

/** Puts the sections together. */
export const compose = (subject: Subject, changes: Changes, drafts: ReadonlyArray<Draft>): string => {
  const { from, name, shallow, to } = subject
  const days = changes.since === changes.until
    ? `on ${changes.since}`
    : `between ${changes.since} and ${changes.until}`
  const omitted = drafts.reduce((sum, { omitted }) => sum + omitted, 0)
  return [
    `# ${escape(name)}: ${from === null ? "release notes" : `from ${code(from.ref)}`} to ${code(to.ref)}`,
    "",
    `${plural(changes.changes, "change")} by ${plural(changes.authors.length, "person", "people")}, written ${days}.` +
    (changes.breaking === 0 ? "" : ` **${changes.breaking} of them breaking.**`),
    "",
    ...breakingSection(changes),
    ...drafts.flatMap(({ markdown }) => [markdown, ""]),
    "## Contributors",
    "",
    contributors(changes),
    "",
    "---",
    "",
    "_Drafted by rules from the messages of the commits, without a language model: sections follow Conventional Commits " +
    "and the prefixes of the subjects, the words are the authors'." +
    (changes.merges === 0 ? "" : ` Left out: ${plural(changes.merges, "merge")}.`) +
    (omitted === 0 ? "" : ` No room for: ${plural(omitted, "change")}.`) +
    (shallow ? " This clone is shallow: what lies before its boundary is not known." : "") +
    "_",
    "",
    `_Commits reachable from ${code(to.hash)}${from === null ? "" : ` and not from ${code(from.hash)}`}._`,
    ""
  ].join("\n")
}
