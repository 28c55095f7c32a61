import type { AuditProblem } from "../../model/index.ts"
import { type Content, digestOf, link } from "./Chain.ts"
import type { Mark } from "./StatementCheck.ts"

/** A row as it was found. */
interface Found {
  readonly id: number
  readonly content: Content
  readonly previous: string
  readonly hash: string
}

/** How far the ids of rows may have been moved for the move to be named. */
const movedBy = 64

const digestAt = (content: Content, id: number): string => digestOf([id, ...content.slice(1)])

const at = (previous: string, { content }: Found, id: number): string => link(previous, digestAt(content, id))

/** The number that a whole row had when it was written, if it was a little higher or lower. */
const originalId = (row: Found): number | undefined => {
  for (let by = 1; by <= movedBy; by++) {
    for (const id of [row.id + by, row.id - by]) if (at(row.previous, row, id) === row.hash) return id
  }
  return undefined
}

/**
 * Rows against each other and against what was signed, one by one in the order of their ids. Keeps two rows.
 *
 * Hashes say that a row is not the one that was written; what happened to it is judged by what else is found: content
 * that fits another place, a row that is whole but follows none that is there.
 */
export class ChainCheck {
  rows = 0
  firstId: number | null = null
  id: number
  hash: string
  private suspect: { readonly found: Found; readonly expected: number; readonly previous: string } | undefined
  private fallback: AuditProblem | null = null
  private found: AuditProblem | null = null
  private readonly marks: ReadonlyArray<Mark>
  private next = 0

  constructor(start: { readonly id: number; readonly hash: string }, marks: ReadonlyArray<Mark>) {
    this.id = start.id
    this.hash = start.hash
    this.marks = marks
    this.checkMarks()
  }

  /** Something is wrong, and no later row can say more about it. */
  get done(): boolean {
    return this.found !== null
  }

  row(content: Content, previous: string, hash: string): void {
    this.rows++
    const id = content[0] as number
    this.firstId ??= id
    if (this.suspect !== undefined) return this.judge({ id, content, previous, hash })
    if (this.found !== null) return
    if (id === this.id + 1 && previous === this.hash && link(previous, digestOf(content)) === hash) {
      return this.advance(id, hash)
    }
    this.examine({ id, content, previous, hash })
  }

  /** A row of which only the digest is known. */
  skipped(id: number, digest: string): void {
    this.rows++
    this.firstId ??= id
    if (this.suspect !== undefined || this.found !== null) return
    if (id !== this.id + 1) return this.report("Missing", this.id + 1, `The log goes from ${this.id} to ${id}.`)
    this.advance(id, link(this.hash, digest))
  }

  /** After the last row: what was signed beyond is not there. */
  finish(): AuditProblem | null {
    const left = this.marks.at(-1)
    if (this.suspect !== undefined) return this.found ?? this.fallback
    if (this.found === null && left !== undefined && left.id > this.id) {
      this.report(
        "Truncated",
        this.id + 1,
        `Rows ${this.id + 1} to ${left.id} are not there; checkpoint ${left.n} covers them.`,
        left.n
      )
    }
    return this.found
  }

  private report(kind: AuditProblem["kind"], id: number, detail: string, n: number | null = null): void {
    this.found ??= { kind, id, n, detail }
  }

  private advance(id: number, hash: string): void {
    this.id = id
    this.hash = hash
    this.checkMarks()
  }

  /** What was signed about the row that was just passed. */
  private checkMarks(): void {
    for (let mark = this.marks[this.next]; mark !== undefined && mark.id <= this.id; mark = this.marks[++this.next]) {
      if (mark.id !== this.id || mark.hash === this.hash) continue
      const from = (this.marks[this.next - 1]?.id ?? 0) + 1
      this.report(
        "Rewritten",
        from,
        `Rows ${from} to ${mark.id} are not those that checkpoint ${mark.n} signed, though they follow each other.`,
        mark.n
      )
    }
  }

  private examine(row: Found): void {
    const { id } = row
    const expected = this.id + 1
    if (id > expected) {
      const those = id - expected === 1 ? `Row ${expected} is` : `Rows ${expected} to ${id - 1} are`
      return this.report("Missing", expected, `${those} not there.`)
    }
    this.fallback = this.judgeAlone(row)
    // Whether the row was moved is told by a later one that would fit here.
    this.suspect = { found: row, expected: id, previous: this.hash }
  }

  /** What a row that does not fit says by itself. */
  private judgeAlone(row: Found): AuditProblem {
    const { content, hash, id, previous } = row
    const n = null
    if (previous !== this.hash && link(previous, digestOf(content)) === hash) {
      return this.rows > 1
        ? {
          kind: "Altered",
          id: this.id,
          n,
          detail: `Row ${id} does not follow row ${this.id}, which was changed together with its hash, or put there.`
        }
        : {
          kind: "Missing",
          id,
          n,
          detail: `Row ${id} does not follow where the log begins: rows before it are not there.`
        }
    }
    const original = previous === this.hash ? undefined : originalId(row)
    if (original === undefined) {
      return { kind: "Altered", id, n, detail: `The content of row ${id} is not what its hash says.` }
    }
    if (original < id) {
      const those = id - original === 1
        ? `Row ${original} is`
        : `Of rows ${original} to ${id - 1}, ${id - original} are`
      return {
        kind: "Inserted",
        id: original,
        n,
        detail: `${those} not of the log; what was written as row ${original} stands at ${id}.`
      }
    }
    const those = original - id === 1 ? `Row ${id} is` : `Rows ${id} to ${original - 1} are`
    return {
      kind: "Missing",
      id,
      n,
      detail: `${those} not there; what was written as row ${original} stands at ${id}.`
    }
  }

  /** Whether a later row is the one that belongs where the suspect stands. */
  private judge(row: Found): void {
    const { expected, found, previous } = this.suspect!
    if (this.found !== null) return
    const fits = at(previous, row, expected)
    if (fits !== row.hash && fits !== found.hash) return
    const back = [at(row.previous, found, row.id), at(found.previous, found, row.id)]
    if (back.includes(found.hash) || back.includes(row.hash)) {
      this.report("Reordered", expected, `What was written as row ${expected} stands at ${row.id}, and the reverse.`)
    } else {
      this.report(
        "Inserted",
        expected,
        `Row ${expected} is not of the log; the row that was written there stands at ${row.id}.`
      )
    }
  }
}
