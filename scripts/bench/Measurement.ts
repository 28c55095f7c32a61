import { rounded } from "./Figures.ts"
import { type RawDisk } from "./RawDisk.ts"

/** One number of the report. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What the same machine gives to a program without our guarantees, measured between the repetitions of this figure. */
  readonly floor: Floor | null
  /** `value / floor.value` */
  readonly ratio: number | null
  readonly aim: string | null
  /** Whether the aim is met; null when there is none. */
  readonly met: boolean | null
  readonly detail: Readonly<Record<string, unknown>>
}

interface Floor {
  readonly name: string
  readonly value: number
}

export interface Context {
  /** Fewer repetitions and smaller counts: to see that everything works, not to compare. */
  readonly quick: boolean
  /** Counts that take minutes to put in place, too. */
  readonly large: boolean
  /** An empty directory on the file system of the repository. */
  readonly directory: string
  readonly disk: RawDisk
  readonly say: (line: string) => void
}

export interface Measurement {
  readonly name: string
  readonly about: string
  /** Largest that the old generation of its process may grow to; unless given, as large as Node has it. */
  readonly heapMegabytes?: number
  readonly run: (context: Context) => Promise<ReadonlyArray<Figure>>
}

interface Aim {
  readonly text: string
  readonly met: boolean
}

export const figure = (
  name: string,
  value: number,
  unit: string,
  { aim, detail = {}, floor }: { readonly floor?: Floor; readonly aim?: Aim; readonly detail?: Figure["detail"] } = {}
): Figure => ({
  name,
  value: rounded(value),
  unit,
  floor: floor === undefined ? null : { name: floor.name, value: rounded(floor.value) },
  ratio: floor === undefined ? null : rounded(value / floor.value),
  aim: aim?.text ?? null,
  met: aim?.met ?? null,
  detail
})

/** One-row transactions a second of better-sqlite3 with `synchronous=FULL`. */
export const rawFull = (value: number): Floor => ({ name: "raw FULL", value })

export const atLeast = (value: number, least: number, text: string): Aim => ({ text, met: value >= least })

export const atMost = (value: number, most: number, text: string): Aim => ({ text, met: value <= most })
