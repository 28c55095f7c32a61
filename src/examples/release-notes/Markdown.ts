/** Words of others as Markdown that shows exactly those words: no markup, no HTML, no links of their making. */

const codeSpan = /(`[^`]+`)/
const punctuation = /[\\*[\]~]/g
const outerUnderscore = /(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu
const tagStart = /<(?=[\p{L}/!?])/gu
const entity = /&(?=#?[\p{L}\p{N}]+;)/gu

const plain = (text: string): string =>
  text
    .replace(punctuation, "\\$&")
    .replace(outerUnderscore, "\\_")
    .replace(entity, "&amp;")
    .replace(tagStart, "&lt;")
    .replaceAll("`", "&#96;")

/** Text of one line. Code between backticks stays code. */
export const escape = (text: string): string =>
  text
    .split(codeSpan)
    .map((part, index) => index % 2 === 1 ? part : plain(part))
    .join("")
    // What would begin a heading, a list or a quotation.
    .replace(/^[#+=>-]/, "\\$&")
    .replace(/^(\d+)([.)])/, "$1\\$2")

/** Any text of one line as code. */
export const code = (text: string): string => {
  const longest = Math.max(0, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length))
  const fence = "`".repeat(longest + 1)
  return longest === 0 ? `${fence}${text}${fence}` : `${fence} ${text} ${fence}`
}
