import fs from "node:fs"
import ts from "typescript"

/** A test as its file names it: a title, or the parts between which a table of cases puts its own words. */
interface Title {
  readonly matches: (title: string) => boolean
  readonly skipped: boolean
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** The names that a call chain has: `it.effect`, `it.skip`, `it.effect.prop`. */
const namesOf = (expression: ts.Expression): ReadonlyArray<string> => {
  if (ts.isIdentifier(expression)) return [expression.text]
  if (ts.isPropertyAccessExpression(expression)) return [...namesOf(expression.expression), expression.name.text]
  return ts.isCallExpression(expression) ? namesOf(expression.expression) : []
}

const titleOf = (argument: ts.Expression, source: string): Omit<Title, "skipped"> | undefined => {
  if (ts.isStringLiteralLike(argument)) return { matches: (title) => title === argument.text }
  if (!ts.isTemplateExpression(argument)) return undefined
  const pattern = argument.templateSpans.reduce(
    (text, { literal }) => `${text}(.*?)${escaped(literal.text)}`,
    escaped(argument.head.text)
  )
  // What a case is called stands in the table of cases, unless it is computed.
  const named = argument.templateSpans.map(({ expression }) => ts.isIdentifier(expression))
  return {
    matches: (title) =>
      (new RegExp(`^${pattern}$`, "s").exec(title)?.slice(1) ?? [""]).every((word, i) =>
        word !== "" && (named[i] !== true || source.includes(`"${word}"`) || source.includes(`${word}: `))
      )
  }
}

/** The tests of a file. */
const titlesOf = (file: string): ReadonlyArray<Title> => {
  const source = fs.readFileSync(file, "utf8")
  const titles: Array<Title> = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [first, ...others] = namesOf(node.expression)
      const [argument] = node.arguments
      if ((first === "it" || first === "test") && argument !== undefined) {
        const title = titleOf(argument, source)
        if (title !== undefined) {
          titles.push({ ...title, skipped: others.some((name) => ["skip", "todo", "fails"].includes(name)) })
        }
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true))
  return titles
}

const known = new Map<string, ReadonlyArray<Title>>()

/** Whether a file has a test of this title that is not passed over. */
export const hasTest = (file: string, title: string): boolean => {
  if (!fs.existsSync(file)) return false
  const titles = known.get(file) ?? titlesOf(file)
  known.set(file, titles)
  return titles.some(({ matches, skipped }) => !skipped && matches(title))
}
