import { Either, Option, type ParseResult, Schema, SchemaAST } from "effect"
import { InvalidInput } from "../ControlPlaneError.ts"

const isIssues = (issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>): issues is readonly [
  ParseResult.ParseIssue,
  ...Array<ParseResult.ParseIssue>
] => Array.isArray(issues)

/** The first thing that is wrong. The value itself is never quoted. */
const problemOf = (issue: ParseResult.ParseIssue, path: ReadonlyArray<PropertyKey>): InvalidInput => {
  const problem = (bound: string) =>
    new InvalidInput({ field: path.length === 0 ? "input" : path.map(String).join("."), bound })
  if (issue._tag === "Pointer") {
    return problemOf(issue.issue, [...path, ...(Array.isArray(issue.path) ? issue.path : [issue.path])])
  }
  if (issue._tag === "Missing") return problem("is required")
  if (issue._tag === "Unexpected") return problem("is not known")
  const described = SchemaAST.getAnnotation<string>(SchemaAST.DescriptionAnnotationId)(issue.ast as SchemaAST.Annotated)
  // What a class of the library says of itself ("a string") is not a bound of ours.
  if (Option.isSome(described) && described.value.startsWith("must ")) return problem(described.value)
  switch (issue._tag) {
    case "Composite":
      return problemOf(isIssues(issue.issues) ? issue.issues[0] : issue.issues, path)
    case "Refinement":
    case "Transformation":
      return problemOf(issue.issue, path)
    default:
      return problem("is of the wrong type")
  }
}

/** What an operation is given, checked; what is unknown is refused too. */
export const checked = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })
  return (input: I): Either.Either<A, InvalidInput> =>
    Either.mapLeft(decode(input), ({ issue }) => problemOf(issue, []))
}

/** One of some words; a refusal names them all. */
export const oneOf = <const Words extends readonly [string, ...Array<string>]>(...words: Words) =>
  Schema.Literal(...words).annotations({ description: `must be one of ${words.join(", ")}` })
