import { createWriteStream } from "node:fs"

/** One part after the other, as the commands do it. */
export const exportTo = async <Cursor>(
  file: string,
  part: (cursor: Cursor | undefined) => Promise<{ readonly text: string; readonly next: Cursor | null }>
): Promise<void> => {
  const out = createWriteStream(file)
  let cursor: Cursor | undefined
  do {
    const { next, text } = await part(cursor)
    if (!out.write(text)) await new Promise<void>((resolve) => out.once("drain", resolve))
    cursor = next ?? undefined
  } while (cursor !== undefined)
  await new Promise<void>((resolve) => out.end(resolve))
}
