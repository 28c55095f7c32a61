import { rounded } from "./Figures.ts"
import { type RawDisk } from "./RawDisk.ts"

/** One number of the report. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** One-row transactions a second with `synchronous=FULL`, measured between the repetitions of this very figure. */
  readonly raw: number | null
  /** `value / raw`, for figures that are rates of durable work. */
  readonly ratio: number | null
  readonly aim: string | null
  /** Whether the aim is met; null when there is none. */
  readonly met: boolean | null
  readonly detail: Readonly<Record<string, unknown>>
}

export interface Context {
  /** Fewer repetitions and smaller counts: to see that everything works, not to compare. */
  readonly quick: boolean
  /** An empty directory on the file system of the repository. */
  readonly directory: string
  readonly disk: RawDisk
  readonly say: (line: string) => void
}

export interface Measurement {
  readonly name: string
  readonly about: string
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
  { aim, detail = {}, raw }: { readonly raw?: number; readonly aim?: Aim; readonly detail?: Figure["detail"] } = {}
): Figure => ({
  name,
  value: rounded(value),
  unit,
  raw: raw === undefined ? null : rounded(raw),
  ratio: raw === undefined ? null : rounded(value / raw),
  aim: aim?.text ?? null,
  met: aim?.met ?? null,
  detail
})

export const atLeast = (value: number, least: number, text: string): Aim => ({ text, met: value >= least })

export const atMost = (value: number, most: number, text: string): Aim => ({ text, met: value <= most })
