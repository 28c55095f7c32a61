import fs from "node:fs"

export const readme = fs.readFileSync("README.md", "utf8")

/** A fenced block of the README. */
export interface Block {
  readonly language: string
  /** `name=…` of its fence: snippets of one name are one file. */
  readonly name: string | undefined
  /** What the comment before it says it is of the tour. */
  readonly tour: string | undefined
  readonly body: string
}

const fence =
  /(?:<!-- tour: (?<tour>[a-z]+) -->\n)?^```(?<language>[a-z]*)(?: name=(?<name>\S+))?\n(?<body>[^]*?)^```$/gm

export const blocks: ReadonlyArray<Block> = [...readme.matchAll(fence)].map(({ groups }) => ({
  language: groups?.["language"] ?? "",
  name: groups?.["name"],
  tour: groups?.["tour"],
  body: groups?.["body"] ?? ""
}))

/** The TypeScript files that the README shows, whole. */
export const files: ReadonlyMap<string, string> = blocks.reduce(
  (found, { body, language, name }) =>
    language === "ts" && name !== undefined ? found.set(name, `${found.get(name) ?? ""}${body}\n`) : found,
  new Map<string, string>()
)

/** What stands in code, inline or fenced: one entry for each span and each line. */
export const code: ReadonlyArray<string> = [
  ...blocks.flatMap(({ body }) => body.split("\n")),
  ...[...readme.replaceAll(fence, "").matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span)
]

/** The text of a section, up to the next heading of its level. */
export const section = (heading: string): string => {
  const start = readme.indexOf(`\n${heading}\n`)
  if (start === -1) throw new Error(`the README has no section "${heading}"`)
  const level = heading.replace(/[^#].*$/, "")
  const end = readme.slice(start + heading.length + 2).search(new RegExp(`^#{1,${level.length}} `, "m"))
  return end === -1 ? readme.slice(start) : readme.slice(start, start + heading.length + 2 + end)
}

/** The rows of the tables in a text, without their headings. */
export const rows = (text: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = text.split("\n")
  return lines.flatMap((line, index) =>
    !line.startsWith("|") || line.startsWith("|--") || (lines[index + 1] ?? "").startsWith("|--")
      ? []
      : [line.split("|").slice(1, -1).map((cell) => cell.trim())]
  )
}

/** The code spans of a text. */
export const spans = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span)
