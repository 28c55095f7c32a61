import { hash } from "node:crypto"

interface Begun<Type extends string> {
  readonly counts: Readonly<Record<Type, number>>
  readonly hash: string
}

/** The lines of one part of an export, counted and hashed on from the parts before. */
export class ExportText<Type extends string> {
  private readonly lines: Array<string> = []
  records = 0
  chars = 0
  readonly counts: Record<Type, number>
  hash: string

  constructor(begun: Begun<Type>) {
    this.counts = { ...begun.counts }
    this.hash = begun.hash
  }

  text(): string {
    return [...this.lines, ""].join("\n")
  }

  header(value: object): void {
    this.line(JSON.stringify(value))
  }

  private line(line: string): void {
    this.hash = hash("sha256", `${this.hash}\n${line}`)
    this.lines.push(line)
    this.chars += line.length + 1
  }

  /** A record, or one that the database has made JSON of. */
  record(type: Type, row: object): void {
    const json = "json" in row ? String(row.json) : JSON.stringify(row)
    this.line(`{"type":"${type}","record":${json}}`)
    this.counts[type]++
    this.records++
  }

  end(): void {
    this.lines.push(JSON.stringify({ type: "end", counts: this.counts, hash: this.hash }))
  }
}
