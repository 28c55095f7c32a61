type StreamName = "stdout" | "stderr"

/** What of a command's output goes into the journal, in characters; the log of the result bundle has more. */
const journalChars = 262_144
/** Of the log in the result bundle. */
const logBytes = 8_388_608
/** A piece is handed on when it has so many characters, or when its stream ends. */
const pieceChars = 4_096
const tailChars = 2_000

/**
 * The output of a command as text: redacted line by line, so that a credential is whole when it is looked for, and
 * bounded wherever it goes.
 */
export class OutputLog {
  bytes = 0
  tail = ""
  private readonly decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  private readonly pending: Record<StreamName, string> = { stdout: "", stderr: "" }
  private readonly lines: Array<string> = []
  private kept = 0
  private journalled = 0
  private last = ""
  private readonly redact: (text: string) => string

  constructor(redact: (text: string) => string) {
    this.redact = redact
  }

  /** The last line of standard output that is not empty. */
  get lastLine(): string {
    return this.last
  }

  /** One JSON object a piece, in the order in which they came. */
  get ndjson(): Buffer {
    return Buffer.from(this.lines.join(""))
  }

  /** Takes output; answers what is to be journalled of it by now. */
  add(stream: StreamName, bytes: Uint8Array): ReadonlyArray<string> {
    this.bytes += bytes.length
    this.pending[stream] += this.decoders[stream].decode(bytes, { stream: true })
    if (this.pending[stream].length < pieceChars) return []
    const end = this.pending[stream].lastIndexOf("\n") + 1
    // A line that has no end is cut where it has become far too long.
    const take = end > 0 ? end : this.pending[stream].length >= 16 * pieceChars ? this.pending[stream].length : 0
    return take === 0 ? [] : this.give(stream, take)
  }

  /** What is left when the command has ended. */
  rest(): ReadonlyArray<{ readonly stream: StreamName; readonly text: string }> {
    return (["stdout", "stderr"] as const).flatMap((stream) =>
      this.pending[stream] === ""
        ? []
        : this.give(stream, this.pending[stream].length).map((text) => ({ stream, text }))
    )
  }

  private give(stream: StreamName, length: number): ReadonlyArray<string> {
    const raw = this.pending[stream].slice(0, length)
    this.pending[stream] = this.pending[stream].slice(length)
    if (stream === "stdout") this.last = raw.trimEnd().split("\n").at(-1) ?? this.last
    const text = this.redact(raw)
    this.tail = (this.tail + text).slice(-tailChars)
    const line = `${JSON.stringify({ stream, text })}\n`
    if (this.kept + line.length <= logBytes) this.lines.push(line)
    this.kept += line.length
    if (this.journalled >= journalChars) return []
    const shown = text.slice(0, journalChars - this.journalled)
    this.journalled += shown.length
    return [shown]
  }
}
