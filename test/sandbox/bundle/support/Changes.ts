import { FastCheck } from "effect"
import { systemActor } from "../../../../src/model/index.ts"
import * as Change from "../../../../src/sandbox/Change.ts"
import type { Decision } from "../../../../src/sandbox/Review.ts"
import type { Files } from "./Files.ts"

/** A decision about a change set by nobody in particular. */
export const decision = (changes: Change.ChangeSet, accept: Decision["accept"]): Decision => ({
  changeSet: Change.digest(changes),
  accept,
  note: null,
  actor: systemActor
})

const lineArbitrary = FastCheck.constantFrom(
  "a",
  "b",
  "ü",
  "",
  " ",
  "\t",
  "-",
  "+",
  "@@ -1 +1 @@",
  "\\ No newline at end of file",
  "longer line"
)

/** Texts of few lines, with every kind of line end, so that equal lines are frequent. */
const textArbitrary = FastCheck.array(
  FastCheck.tuple(lineArbitrary, FastCheck.constantFrom("\n", "\n", "\n", "\r\n", "\r")),
  { maxLength: 24 }
).chain((lines) =>
  FastCheck.constantFrom("", "end", "\r", "\n").map((end) => lines.map(([line, feed]) => line + feed).join("") + end)
)

const contentArbitrary = FastCheck.oneof(
  { arbitrary: textArbitrary, weight: 8 },
  { arbitrary: FastCheck.uint8Array({ maxLength: 40 }), weight: 1 },
  { arbitrary: FastCheck.constant(""), weight: 1 }
)

const pathArbitrary = FastCheck.constantFrom(
  "a",
  "b.txt",
  "c d.txt",
  "ordner/ü.md",
  "ordner/x/y.js",
  "ordner/x/z",
  "z/z/z/z",
  "é.bin",
  "-dash"
)

export const fileArbitrary: FastCheck.Arbitrary<Files> = FastCheck.dictionary(
  pathArbitrary,
  FastCheck.oneof({ arbitrary: contentArbitrary, weight: 4 }, {
    arbitrary: FastCheck.record({ content: contentArbitrary }, { noNullPrototype: true }),
    weight: 1
  }),
  { maxKeys: 6, noNullPrototype: true }
)

/** Two trees of which the second often is the first with something changed or moved. */
export const pairArbitrary: FastCheck.Arbitrary<readonly [Files, Files]> = FastCheck.tuple(fileArbitrary, fileArbitrary)
  .chain(([before, after]) =>
    FastCheck.constantFrom<readonly [Files, Files]>(
      [before, after],
      [before, { ...before, ...after }],
      [before, moved(before)],
      [before, { ...moved(before), ...after }],
      [{ ...before, ...after }, before]
    )
  )

/** The same contents, each under the name of the next. */
const moved = (files: Files): Files => {
  const entries = Object.entries(files)
  return Object.fromEntries(
    entries.map(([name, file], index) => [index === 0 ? `moved-${name.replaceAll("/", "-")}` : name, file])
  )
}
