/** Text of commits comes from anybody: what a terminal would execute and what nobody can see is taken out. */

/** Colours, cursor movements, titles and links of terminals. */
const terminalSequences = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g

/** Control and format characters (changes of direction among them), except those that emoji and scripts need. */
const unseen = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}]/gu

/** Readable text of several lines, at most one of them empty in a row. */
export const lines = (text: string): string =>
  text
    .replace(/\r\n?|[\u2028\u2029]/g, "\n")
    .replace(terminalSequences, "")
    .replace(unseen, "")
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim()

/** Readable text of one line. */
export const line = (text: string): string => lines(text).replace(/\s+/g, " ")

const halfCharacter = /[\ud800-\udbff]$/

/** At most `limit` characters, the last of which says that there were more. */
export const cut = (text: string, limit: number): string =>
  text.length <= limit ? text : `${text.slice(0, limit - 1).replace(halfCharacter, "").trimEnd()}…`

/** The beginning and the end, where the trailers stand. */
export const cutMiddle = (text: string, limit: number): string => {
  if (text.length <= limit) return text
  const head = cut(text, Math.floor(limit / 2))
  const tail = text.slice(text.length - Math.floor(limit / 2))
  return `${head}\n${tail.slice(tail.indexOf("\n") + 1).replace(/^[\udc00-\udfff]/, "")}`
}
