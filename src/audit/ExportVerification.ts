import { Effect, Option, Stream } from "effect"
import type { KeyObject } from "node:crypto"
import type { AuditProblem, AuditVerification } from "../model/index.ts"
import { InvalidAuditRequest } from "./AuditError.ts"
import { ChainCheck } from "./internal/ChainCheck.ts"
import { type Header, lineOfText, splitRow } from "./internal/ExportText.ts"
import { publicKeyOf } from "./internal/Signature.ts"
import { StatementCheck } from "./internal/StatementCheck.ts"

/** An NDJSON export, line by line. */
class ExportCheck {
  private header: Header | undefined
  private statements: StatementCheck | undefined
  private chain: ChainCheck | undefined
  private ended = false
  private unreadable: AuditProblem | null = null
  private lines = 0
  private readonly key: KeyObject

  constructor(key: KeyObject) {
    this.key = key
  }

  add(text: string): void {
    this.lines++
    if (this.unreadable !== null) return
    const line = Option.getOrUndefined(lineOfText(text))
    if (line === undefined) return this.refuse("is no line of an export")
    if (this.ended) return this.refuse("comes after the end")
    switch (line.type) {
      case "audit":
        return this.begin(line)
      case "statement":
        return this.statements === undefined || this.chain !== undefined
          ? this.refuse("is a checkpoint out of place")
          : this.statements.add(line)
      case "row":
        return this.rows()?.row(...splitRow(line.row))
      case "skip": {
        const chain = this.rows()
        return line.digests.forEach((digest, i) => chain?.skipped(line.fromId + i, digest))
      }
      case "end":
        this.rows()
        this.ended = true
    }
  }

  finish(): AuditVerification {
    const { header, statements } = this
    const chain = this.rows()
    statements?.finish(this.key)
    const incomplete: AuditProblem | null = this.ended || this.unreadable !== null
      ? null
      : { kind: "Unreadable", id: null, n: null, detail: "The export ends before its end: it was cut off." }
    const last = statements?.last
    const rowProblem = chain?.finish() ?? null
    return {
      problem: this.unreadable ?? (rowProblem?.kind === "Truncated" ? null : rowProblem) ?? incomplete ?? rowProblem ??
        statements?.problem ?? null,
      log: header?.log ?? "",
      rows: chain?.rows ?? 0,
      firstId: chain?.firstId ?? null,
      lastId: chain === undefined || chain.rows === 0 ? null : chain.id,
      headHash: chain?.hash ?? "",
      statements: statements?.count ?? 0,
      signedThroughId: last?.id ?? 0,
      signedAtMs: last?.atMs ?? null,
      sealedThroughId: statements?.sealed.id ?? 0,
      restores: statements?.restores ?? 0,
      keyIds: statements?.keyIds ?? []
    }
  }

  private refuse(what: string): void {
    this.unreadable = { kind: "Unreadable", id: null, n: null, detail: `Line ${this.lines} ${what}.` }
  }

  private begin(header: Header): void {
    if (this.header !== undefined) return this.refuse("begins another export")
    this.header = header
    this.statements = new StatementCheck(header.log)
  }

  /** Rows are checked from here on: everything that was signed has come. */
  private rows(): ChainCheck | undefined {
    if (this.chain !== undefined) return this.chain
    const { header, statements } = this
    if (header === undefined || statements === undefined) {
      this.unreadable ??= { kind: "Unreadable", id: null, n: null, detail: "This is no export of an audit." }
      return undefined
    }
    const { filter, throughId } = header
    const { sealed } = statements
    const whole = filter.sinceMs === undefined
    if (whole && (header.afterId !== sealed.id || header.afterHash !== sealed.hash)) {
      this.unreadable = {
        kind: "Missing",
        id: sealed.id + 1,
        n: null,
        detail: `The export begins after row ${header.afterId}, the log after row ${sealed.id}.`
      }
    }
    // An export is signed to its end when it is made; one that was asked for up to a time ends at a checkpoint, too.
    const marks = filter.untilMs === undefined
      ? statements.marks
      : statements.marks.filter(({ id }) => id <= throughId)
    if (filter.untilMs !== undefined && throughId > header.afterId && marks.at(-1)?.id !== throughId) {
      this.unreadable ??= {
        kind: "Truncated",
        id: throughId,
        n: null,
        detail: `The export goes to row ${throughId}, which no checkpoint signs.`
      }
    }
    this.chain = new ChainCheck({ id: header.afterId, hash: header.afterHash }, marks)
    return this.chain
  }
}

/**
 * Examines an NDJSON export with nothing but a public key of the service (SPKI, PEM): in one pass, in memory that grows
 * by some dozen bytes a checkpoint. What the export does not hold (a time before or after that was not asked for) it
 * cannot judge: `firstId`, `lastId` and `signedThroughId` say what it was.
 */
export const verifyExport = <E, R>(
  lines: Stream.Stream<string, E, R>,
  publicKey: string
): Effect.Effect<AuditVerification, E | InvalidAuditRequest, R> =>
  Effect.suspend((): Effect.Effect<AuditVerification, E | InvalidAuditRequest, R> => {
    const key = Option.getOrUndefined(publicKeyOf(publicKey))
    if (key === undefined) {
      return new InvalidAuditRequest({ field: "publicKey", bound: "must be an Ed25519 public key (SPKI, PEM)" })
    }
    const check = new ExportCheck(key)
    return Effect.map(
      Stream.runForEachChunk(lines, (chunk) =>
        Effect.sync(() => {
          for (const line of chunk) if (line !== "") check.add(line)
        })),
      () => check.finish()
    )
  })
