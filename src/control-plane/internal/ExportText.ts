import { hash } from "node:crypto"

interface Begun<Type extends string> {
  readonly counts: Readonly<Record<Type, number>>
  readonly hash: string
}

/** The lines of one part of an export, counted and hashed on from the parts before. */
export class ExportText<Type extends string> {
  text = ""
  records = 0
  readonly counts: Record<Type, number>
  hash: string

  constructor(begun: Begun<Type>) {
    this.counts = { ...begun.counts }
    this.hash = begun.hash
  }

  get chars(): number {
    return this.text.length
  }

  line(value: object): void {
    const line = JSON.stringify(value)
    this.hash = hash("sha256", `${this.hash}\n${line}`)
    this.text += `${line}\n`
  }

  record(type: Type, record: object): void {
    this.line({ type, record })
    this.counts[type]++
    this.records++
  }

  end(): void {
    this.text += `${JSON.stringify({ type: "end", counts: this.counts, hash: this.hash })}\n`
  }
}
