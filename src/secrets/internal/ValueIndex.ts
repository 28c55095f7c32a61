import type { Place } from "./FormatSearch.ts"
import { minChars } from "./Needles.ts"

interface Needle {
  readonly text: string
  readonly name: string
  /** Where its window begins. */
  readonly offset: number
}

const block = 4
const window = minChars
const farthest = window - block + 1
const slots = 1 << 18

const slotOf = (text: string, last: number): number => {
  const hash = Math.imul(
    Math.imul(Math.imul(text.charCodeAt(last - 3), 31) + text.charCodeAt(last - 2), 31) + text.charCodeAt(last - 1),
    31
  ) + text.charCodeAt(last)
  return (hash ^ (hash >>> 16)) & (slots - 1)
}

/**
 * Finds many texts at once, as Wu and Manber do it ("A fast algorithm for multi-pattern searching", 1994): of each a
 * window of 8 characters is known by its blocks of 4, and a block that no window has lets the search go on 5 characters
 * later. The window is taken from the middle: credentials of one kind begin alike, and key files end alike.
 */
export class ValueIndex {
  private readonly shifts = new Uint8Array(slots).fill(farthest)
  private readonly buckets = new Map<number, Array<Needle>>()

  /** The text is at least 8 characters long. */
  add(text: string, name: string): void {
    const offset = (text.length - window) >> 1
    for (let distance = 0; distance < farthest; distance++) {
      const slot = slotOf(text, offset + window - 1 - distance)
      this.shifts[slot] = Math.min(this.shifts[slot]!, distance)
    }
    const slot = slotOf(text, offset + window - 1)
    const bucket = this.buckets.get(slot)
    if (bucket === undefined) this.buckets.set(slot, [{ text, name, offset }])
    else bucket.push({ text, name, offset })
  }

  clear(): void {
    this.shifts.fill(farthest)
    this.buckets.clear()
  }

  /** Whether anything known stands in the text. */
  has(text: string): boolean {
    return this.buckets.size > 0 && this.find(text, 1).length > 0
  }

  /** What stands in the text, at most `limit`; what overlaps is found too. */
  find(text: string, limit = Infinity): ReadonlyArray<Place> {
    const places: Array<Place> = []
    if (this.buckets.size === 0) return places
    let last = window - 1
    while (last < text.length) {
      const slot = slotOf(text, last)
      const shift = this.shifts[slot]!
      if (shift > 0) {
        last += shift
        continue
      }
      for (const needle of this.buckets.get(slot) ?? []) {
        const start = last - window + 1 - needle.offset
        if (start < 0 || !text.startsWith(needle.text, start)) continue
        places.push({ kind: "value", name: needle.name, start, end: start + needle.text.length })
        if (places.length >= limit) return places
      }
      last++
    }
    return places
  }
}
