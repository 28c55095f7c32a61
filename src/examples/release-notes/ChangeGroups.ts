import { Array as Arr, Order, Schema } from "effect"
import * as ConventionalCommit from "./ConventionalCommit.ts"
import type { Commit } from "./Repository.ts"

/** One commit as a line of the notes. */
export const Change = Schema.Struct({
  hash: Schema.String,
  scope: Schema.NullOr(Schema.String),
  text: Schema.String,
  breaking: Schema.NullOr(Schema.String),
  /** Hash of the commit in this range that takes this one back. */
  revertedBy: Schema.NullOr(Schema.String),
  authors: Schema.Array(Schema.String)
})
export type Change = typeof Change.Type

export const ChangeGroup = Schema.Struct({
  /** Of letters, digits and dashes, unique in its notes. */
  id: Schema.String,
  title: Schema.String,
  changes: Schema.Array(Change)
})
export type ChangeGroup = typeof ChangeGroup.Type

const Author = Schema.Struct({ name: Schema.String, changes: Schema.Int })

/** Everything that notes are drafted from. */
export const Changes = Schema.Struct({
  groups: Schema.Array(ChangeGroup),
  authors: Schema.Array(Author),
  changes: Schema.Int,
  breaking: Schema.Int,
  /** Commits that only join branches; they are left out. */
  merges: Schema.Int,
  /** Days of the earliest and the latest commit. */
  since: Schema.String,
  until: Schema.String
})
export type Changes = typeof Changes.Type

interface Kind {
  readonly id: string
  readonly title: string
  /** Types of Conventional Commits, and what people write instead. */
  readonly types: ReadonlyArray<string>
}

/** What users of a release look for comes first, then the areas and everything else, then what maintainers look for. */
const first: ReadonlyArray<Kind> = [
  { id: "features", title: "Features", types: ["feat", "feature", "features"] },
  { id: "fixes", title: "Bug fixes", types: ["fix", "fixes", "bugfix", "hotfix"] },
  { id: "security", title: "Security", types: ["security", "sec"] },
  { id: "performance", title: "Performance", types: ["perf", "performance"] },
  { id: "deprecations", title: "Deprecations", types: ["deprecate", "deprecated", "deprecation"] }
]
const other = { id: "other", title: "Other changes" }
const reverts = { id: "reverts", title: "Reverts" }
const last: ReadonlyArray<Kind> = [
  { id: "documentation", title: "Documentation", types: ["docs", "doc"] },
  { id: "refactoring", title: "Refactoring", types: ["refactor", "refactoring"] },
  { id: "tests", title: "Tests", types: ["test", "tests"] },
  { id: "maintenance", title: "Maintenance", types: ["chore", "build", "ci", "style", "deps", "dependencies"] }
]
const kinds = new Map([...first, ...last].flatMap((kind) => kind.types.map((type) => [type, kind] as const)))

/** Areas that get a section of their own: the ones with the most commits. */
const maxAreas = 16
const leastCommitsOfArea = 2

/** Characters of a hash that a message names at least. */
const abbreviation = 7

const fixes = /^(?:fix|fixes|fixed|fixing)\s/i

interface Entry extends ConventionalCommit.Parsed {
  readonly commit: Commit
  /** The section that its message asks for; none: that of its area, or the rest. */
  readonly kind: string | undefined
}

const kindOf = ({ prefix, reverts: taken, text }: ConventionalCommit.Parsed): string | undefined =>
  taken !== null
    ? reverts.id
    : prefix !== null
    ? kinds.get(prefix.toLowerCase())?.id
    : fixes.test(text)
    ? kinds.get("fix")?.id
    : undefined

/** `Access, audit` is filed under Access. */
const areaOf = ({ prefix }: Entry): string | undefined => prefix?.split(/[,&+]/)[0]?.trim() || undefined

const slug = (text: string): string =>
  text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40)

/** What a line says before its text: the scope of a type, the prefix where it is more than the title of the section. */
const scopeOf = ({ prefix, scope }: Entry, group: { readonly title: string; readonly area: boolean }) =>
  prefix === null || (group.area && prefix.toLowerCase() === group.title.toLowerCase())
    ? scope
    : group.area || group.title === other.title
    ? scope === null ? prefix : `${prefix}(${scope})`
    : scope

const mostFirst = Order.reverse(Order.mapInput(Order.number, ({ changes }: { readonly changes: number }) => changes))

/** Files commits (latest first) under what they are, and counts them. Nothing is left out but merges. */
export const fromCommits = (commits: ReadonlyArray<Commit>): Changes => {
  const entries = commits.filter(({ merge }) => !merge).map((commit): Entry => {
    const parsed = ConventionalCommit.parse(commit.subject, commit.body)
    return { ...parsed, commit, kind: kindOf(parsed) }
  })
  const takenBack = Arr.groupBy(
    entries.flatMap(({ commit, reverts: hash }) => hash ? [{ hash: hash.toLowerCase(), by: commit.hash }] : []),
    ({ hash }) => hash.slice(0, abbreviation)
  )
  const byKind = Arr.groupBy(entries, ({ kind = "" }) => kind)
  const unkind = byKind[""] ?? []
  const byArea = Arr.groupBy(
    unkind.filter((entry) => areaOf(entry) !== undefined),
    (entry) => `area ${areaOf(entry)?.toLowerCase()}`
  )
  const areas = Arr.sort(
    Object.values(byArea).map((members) => ({
      title: areaOf(members[0])!,
      members,
      changes: members.length
    })).filter(({ changes }) => changes >= leastCommitsOfArea),
    mostFirst
  ).slice(0, maxAreas)
  const withArea = new Set(areas.flatMap(({ members }) => members))

  const named = ({ id, title }: { readonly id: string; readonly title: string }) => ({
    id,
    title,
    area: false,
    members: id === other.id ? unkind.filter((entry) => !withArea.has(entry)) : byKind[id] ?? []
  })
  const filed = [
    ...first.map(named),
    ...areas.map(({ members, title }, index) => ({
      id: `area-${slug(title) || "section"}-${index + 1}`,
      title,
      area: true,
      members
    })),
    named(other),
    named(reverts),
    ...last.map(named)
  ].filter(({ members }) => members.length > 0)

  const change = (entry: Entry, group: { readonly title: string; readonly area: boolean }): Change => ({
    hash: entry.commit.hash,
    scope: scopeOf(entry, group),
    text: entry.text,
    breaking: entry.breaking,
    revertedBy: takenBack[entry.commit.hash.slice(0, abbreviation)]
      ?.find(({ hash }) => entry.commit.hash.startsWith(hash))?.by ?? null,
    authors: [...new Set([entry.commit.author, ...entry.commit.coAuthors])]
  })
  const groups = filed.map((group) => ({
    id: group.id,
    title: group.title,
    changes: group.members.map((entry) => change(entry, group))
  }))
  const days = entries.map(({ commit: { date } }) => date.slice(0, 10)).sort()
  return {
    groups,
    authors: countAuthors(groups.flatMap(({ changes }) => changes)),
    changes: entries.length,
    breaking: entries.filter(({ breaking }) => breaking !== null).length,
    merges: commits.length - entries.length,
    since: days[0] ?? "",
    until: days.at(-1) ?? ""
  }
}

/** Who took part in how many changes, the busiest first. */
export const countAuthors = (changes: ReadonlyArray<Change>): ReadonlyArray<typeof Author.Type> => {
  const counts = new Map<string, number>()
  for (const name of changes.flatMap(({ authors }) => authors)) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Arr.sort(Array.from(counts, ([name, changes]) => ({ name, changes })), mostFirst)
}
