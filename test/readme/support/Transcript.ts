/** What differs between two runs of the same commands: ids, hashes, times, numbers, widths of columns, places. */
export const normalized = (lines: ReadonlyArray<string>, place: string): ReadonlyArray<string> =>
  lines.map((line) =>
    line
      .replaceAll(place, "…/smithers-orchestrator")
      .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "<id>")
      .replaceAll(/\b[0-9a-f]{64}\b/g, "<sha256>")
      .replaceAll(/\b[0-9a-f]{40}\b/g, "<hash>")
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
      .replaceAll(/^\d\d:\d\d:\d\d +\d+/g, "<time> <seq>")
      .replaceAll(/draft:[a-z0-9:-]+/g, "draft:<section>")
      .replaceAll(/\d+/g, "<n>")
      .replaceAll(/ +/g, " ")
      .trimEnd()
  )

/** `…` alone stands for any lines, at the end of a line for the rest of it. */
const fits = (shown: string, printed: string): boolean =>
  shown.endsWith("…") ? printed.startsWith(shown.slice(0, -1)) : shown === printed

/** The first place where what was printed is not what is shown; undefined if it is. */
export const differenceOf = (shown: ReadonlyArray<string>, printed: ReadonlyArray<string>): string | undefined => {
  const [line, ...rest] = shown
  if (line === undefined) return printed.length === 0 ? undefined : `printed and not shown: ${printed[0]}`
  if (line === "…") {
    const [next] = rest
    if (next === undefined) return undefined
    const at = printed.findIndex((candidate) => fits(next, candidate))
    return at === -1 ? `shown and not printed: ${next}` : differenceOf(rest, printed.slice(at))
  }
  const [found, ...others] = printed
  return found !== undefined && fits(line, found)
    ? differenceOf(rest, others)
    : `shown:   ${line}\nprinted: ${found ?? "nothing"}`
}
