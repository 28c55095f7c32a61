import { assert, describe, it } from "@effect/vitest"
import { type Line, type Section, seeds } from "./Seeds.ts"
import { hasTest } from "./Titles.ts"

const linesOf = (sections: ReadonlyArray<Section>): ReadonlyArray<readonly [where: string, line: Line]> =>
  sections.flatMap(({ heading, lines }) => lines.map((line) => [`${heading}: ${line.says}`, line] as const))

describe.each(seeds)("the seed $title", ({ headings, sections, title }) => {
  const lines = linesOf(sections)

  it("is gone through heading by heading", () => {
    assert.deepStrictEqual(sections.map(({ heading }) => heading), headings)
    assert.deepStrictEqual(sections.filter((section) => section.lines.length === 0), [])
    const quotes = lines.map(([where]) => where)
    assert.strictEqual(new Set(quotes).size, quotes.length)
  })

  it("promises nothing without a test that proves it, or the reason why there is none yet", () => {
    const unproved = lines.filter(([, line]) =>
      "proofs" in line ? line.proofs.length === 0 : ("later" in line ? line.later : line.others) === ""
    )
    assert.deepStrictEqual(unproved.map(([where]) => where), [])
    const owed = lines.flatMap(([where, line]) => "later" in line ? [`  ${where}\n    ${line.later}`] : [])

    if (owed.length > 0) console.warn(`!! ${title}: ${owed.length} promises are not kept yet:\n${owed.join("\n")}`)
  })

  it("is proved by tests that there are", () => {
    const missing = lines.flatMap(([where, line]) =>
      "proofs" in line
        ? line.proofs.filter(({ file, test }) => !hasTest(file, test))
          .map(({ file, test }) => `${where} — ${file}: ${test}`)
        : []
    )
    assert.deepStrictEqual(missing, [])
  })
})

describe("the search for proofs", () => {
  it("knows a title, a case of a table, and neither what nobody wrote nor what is passed over", () => {
    const file = "test/cache/TruthTable.test.ts"
    assert.isTrue(hasTest("test/seeds/Seeds.test.ts", "is proved by tests that there are"))
    assert.isTrue(hasTest(file, "scope run, another run: Absent"))
    assert.isFalse(hasTest(file, "scope planet, another run: Absent"))
    assert.isFalse(hasTest(file, "scope run, another run: hidden"))
    assert.isFalse(hasTest("test/cache/Nowhere.test.ts", "scope run, another run: Absent"))
  })
})
