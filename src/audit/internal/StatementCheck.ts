import { Option, Schema } from "effect"
import type { KeyObject } from "node:crypto"
import type { AuditProblem } from "../../model/index.ts"
import { type SignedStatement, Statement } from "../Statement.ts"
import { genesisOf } from "./Chain.ts"
import { isSignedBy, keyIdOf, publicKeyOf, statementHash } from "./Signature.ts"

const decode = Schema.decodeUnknownOption(Schema.parseJson(Statement))

/** A row that was signed. */
export interface Mark {
  readonly id: number
  readonly hash: string
  readonly n: number
  readonly atMs: number
}

/**
 * Statements against each other and their keys, one by one in the order of their numbers. What it keeps are the rows they
 * sign, some dozen bytes a statement.
 */
export class StatementCheck {
  /** The log went back to an older state, and nobody has signed for it yet. */
  rollback: AuditProblem | null = null
  count = 0
  restores = 0
  /** Sealed rows may be gone: the log begins behind them. */
  sealed: { readonly id: number; readonly hash: string }
  /** Keys that vouch for each other, and the last of them for everything before. */
  keyIds: Array<string> = []
  readonly log: string
  private first: AuditProblem | null = null
  private open: Array<Mark> = []
  private key: KeyObject | undefined
  private n = 0
  private previous: string

  constructor(log: string) {
    this.log = log
    this.previous = genesisOf(log)
    this.sealed = { id: 0, hash: this.previous }
  }

  add(signed: SignedStatement): void {
    const said = Option.getOrUndefined(decode(signed.statement))
    const n = said?.n ?? this.n + 1
    const wrong = said === undefined ? "is no statement" : this.wrongWith(signed, said)
    if (wrong !== undefined) this.report("Statement", null, n, `Checkpoint ${n} ${wrong}.`)
    this.count++
    this.n = n
    this.previous = statementHash(signed.statement)
    if (said !== undefined && wrong === undefined) this.take(said)
  }

  get problem(): AuditProblem | null {
    return this.first ?? this.rollback
  }

  /** What must be found at which row, in the order of rows. */
  get marks(): ReadonlyArray<Mark> {
    return this.open.filter(({ id }) => id >= this.sealed.id)
  }

  get last(): Mark | undefined {
    return this.open.at(-1)
  }

  /** Whoever verifies has a key of the service from elsewhere: without it, anybody could have signed. */
  finish(trusted: KeyObject): void {
    const id = keyIdOf(trusted)
    if (this.count === 0) {
      this.report("Statement", null, null, "There is no checkpoint.")
    } else if (!this.keyIds.includes(id)) {
      this.report(
        "Statement",
        null,
        1,
        `The given key ${id} is none that the last checkpoint was signed with or can be traced to.`
      )
    }
  }

  private report(kind: AuditProblem["kind"], id: number | null, n: number | null, detail: string): void {
    this.first ??= { kind, id, n, detail }
  }

  private wrongWith(signed: SignedStatement, said: Statement): string | undefined {
    if (said.log !== this.log) return `is of another log (${said.log})`
    if (said.n !== this.n + 1) {
      return said.n > this.n ? `comes after checkpoint ${this.n}: those between are missing` : "comes again"
    }
    if (said.previous !== this.previous) return "does not follow the one before: one of them was changed"
    const key = this.introduces(said) ? Option.getOrUndefined(publicKeyOf(said.publicKey ?? "")) : this.key
    if (key === undefined) return "was signed with a key that no checkpoint names"
    if (signed.keyId !== keyIdOf(key)) return `was signed with the key ${signed.keyId}, which no checkpoint names`
    return isSignedBy(key, signed) ? undefined : "does not carry the signature of its text"
  }

  /** Whether the statement brings its own key: the first one, and a restore into another home. */
  private introduces({ kind, n, publicKey }: Statement): boolean {
    return kind === "begin" ? n === 1 : kind === "restore" && publicKey !== undefined
  }

  private take(said: Statement): void {
    const { atMs, hash, id, kind, n, publicKey, seal } = said
    if (publicKey !== undefined) {
      this.key = Option.getOrUndefined(publicKeyOf(publicKey))
      if (this.introduces(said)) this.keyIds = []
      if (this.key !== undefined) this.keyIds.push(keyIdOf(this.key))
    }
    if (kind === "restore") {
      this.restores++
      // It was explained then, or is acknowledged now.
      this.rollback = null
    } else this.checkOrder(id, hash, n)
    // What was signed beyond an older state that the log went on from is not there any more.
    while (this.open.length > 0 && this.open.at(-1)!.id >= id) this.open.pop()
    this.open.push({ id, hash, n, atMs })
    if (seal !== undefined) this.sealed = { id: seal.throughId, hash: seal.throughHash }
  }

  private checkOrder(id: number, hash: string, n: number): void {
    const before = this.open.at(-1)
    if (before === undefined || before.id < id || (before.id === id && before.hash === hash)) return
    this.rollback ??= {
      kind: "OlderDatabase",
      id: id + 1,
      n,
      detail: before.id === id
        ? `Row ${id} was signed with two hashes, by checkpoints ${before.n} and ${n}: the database was replaced.`
        : `Checkpoint ${before.n} covers rows up to ${before.id}, the later checkpoint ${n} only up to ${id}: the database was replaced by an older one.`
    }
  }
}
