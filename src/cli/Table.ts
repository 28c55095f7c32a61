import { DateTime, Schema } from "effect"
import { plain } from "./Style.ts"

/** Rows under their headings, in columns as wide as their widest cell. */
export const table = (headings: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => plain(row[column] ?? "").length))
  )
  const line = (cells: ReadonlyArray<string>) =>
    cells.map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - plain(cell).length)))
      .join("  ").trimEnd()
  return [headings, ...rows].map(line).join("\n")
}

/** Names and values below each other; a value of null is left out. */
export const fields = (entries: ReadonlyArray<readonly [name: string, value: string | null]>): string => {
  const shown = entries.flatMap(([name, value]) => value === null ? [] : [[name, value] as const])
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n")
}

/** A span of time in its largest unit: `45s`, `12m`, `3h`, `9d`. */
export const span = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** JSON as people read it. */
export const prettyJson = Schema.encodeSync(Schema.parseJson({ space: 2 }))

/** A point in time, in UTC. */
export const timestamp = (ms: number): string => DateTime.formatIso(DateTime.unsafeMake(ms))
