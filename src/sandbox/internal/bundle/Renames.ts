/** Files that are compared with each other on each side, and how long they may be; others are found by equal content. */
const maxCompared = 64
const maxComparedBytes = 262_144

/** As git: a file is the same one under another name when at least half of it is. */
const minSimilarity = 0.5

interface File {
  readonly path: string
  readonly sha256: string
  readonly bytes: number
}

/** A file of one side with what is in it; empty when it cannot be compared by lines. */
export interface Side {
  readonly path: string
  readonly text: string
}

/** New name → old name. */
type Renames = ReadonlyMap<string, string>

/** The added files that are, byte for byte, deleted ones. Empty files are all alike and so never moved. */
export const exact = (deleted: ReadonlyArray<File>, added: ReadonlyArray<File>): Renames => {
  const bySha = new Map<string, Array<string>>()
  for (const { bytes, path, sha256 } of deleted) {
    if (bytes > 0) bySha.set(sha256, [...(bySha.get(sha256) ?? []), path])
  }
  return new Map(added.flatMap(({ path, sha256 }) => {
    const from = bySha.get(sha256)?.shift()
    return from === undefined ? [] : [[path, from] as const]
  }))
}

export const candidates = <F extends File>(files: ReadonlyArray<F>): ReadonlyArray<F> =>
  files.filter(({ bytes }) => bytes > 0 && bytes <= maxComparedBytes).slice(0, maxCompared)

/** Which part of the longer text is in lines that both have. */
const similarity = (a: string, b: string): number => {
  const longer = Math.max(a.length, b.length)
  if (Math.min(a.length, b.length) < longer * minSimilarity) return 0
  const counts = new Map<string, number>()
  for (const line of a.split("\n")) counts.set(line, (counts.get(line) ?? 0) + 1)
  let shared = 0
  for (const line of b.split("\n")) {
    const count = counts.get(line) ?? 0
    if (count === 0) continue
    counts.set(line, count - 1)
    shared += line.length + 1
  }
  return shared / (longer + 1)
}

/** The added files that are changed deleted ones, the most similar first. */
export const similar = (deleted: ReadonlyArray<Side>, added: ReadonlyArray<Side>): Renames => {
  const renames = new Map<string, string>()
  const gone = new Set<string>()
  added
    .filter(({ text }) => text !== "")
    .flatMap((to) => deleted.map((from) => ({ from: from.path, to: to.path, score: similarity(from.text, to.text) })))
    .filter(({ score }) => score >= minSimilarity)
    .sort((a, b) => b.score - a.score)
    .forEach(({ from, to }) => {
      if (renames.has(to) || gone.has(from)) return
      gone.add(from)
      renames.set(to, from)
    })
  return renames
}
