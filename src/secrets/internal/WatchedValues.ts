import { minChars, needlesOf } from "./Needles.ts"
import { ValueIndex } from "./ValueIndex.ts"

interface Watched {
  readonly name: string
  readonly chars: number
  readonly needles: ReadonlySet<string>
  users: number
}

/**
 * The values that were resolved in this process. One that is not in use any more stays known, since what was made with it
 * may still be written; when there are too many, the one that has been out of use for longest is forgotten.
 */
export class WatchedValues {
  readonly index = new ValueIndex()
  private readonly known = new Map<string, Watched>()
  private chars = 0
  private readonly maxValues: number
  private readonly maxChars: number

  constructor(maxValues: number, maxChars: number) {
    this.maxValues = maxValues
    this.maxChars = maxChars
  }

  /** Takes the value into use; what to call when it is not used any more, or why it cannot be watched. */
  watch(name: string, value: string): (() => void) | "TooShort" | "TooMany" {
    if (value.length < minChars) return "TooShort"
    const key = `${name}\0${value}`
    const watched = this.known.get(key) ?? this.admit(key, name, value)
    if (watched === undefined) return "TooMany"
    watched.users++
    return () => {
      watched.users--
      if (watched.users > 0 || this.known.get(key) !== watched) return
      // The last one of the map is the one that has just come out of use.
      this.known.delete(key)
      this.known.set(key, watched)
    }
  }

  private admit(key: string, name: string, value: string): Watched | undefined {
    const idle = [...this.known].filter(([, { users }]) => users === 0)
    const leaving: Array<readonly [string, Watched]> = []
    let room = this.maxChars - this.chars
    while (this.known.size - leaving.length >= this.maxValues || room < value.length) {
      const oldest = idle[leaving.length]
      if (oldest === undefined) return undefined
      leaving.push(oldest)
      room += oldest[1].chars
    }
    for (const [old, { chars }] of leaving) {
      this.known.delete(old)
      this.chars -= chars
    }
    const watched = { name, chars: value.length, needles: needlesOf(value), users: 0 }
    this.known.set(key, watched)
    this.chars += watched.chars
    if (leaving.length > 0) this.rebuild()
    else this.add(watched)
    return watched
  }

  private add({ name, needles }: Watched): void {
    for (const needle of needles) this.index.add(needle, name)
  }

  private rebuild(): void {
    this.index.clear()
    for (const watched of this.known.values()) this.add(watched)
  }
}
