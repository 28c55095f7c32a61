/** Control characters but line feed and tab, and those that turn the direction of writing or end a line. */
const hidden = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu

/** Text that nobody vouches for, as it may be shown on a terminal: what would act on it is written out. */
export const visible = (text: string): string =>
  text.replaceAll(
    hidden,
    (char) => char === "\n" || char === "\t" ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  )
