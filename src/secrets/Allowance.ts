import { Either, Schema, type SchemaAST } from "effect"
import type { Path } from "./internal/JsonText.ts"
import { at, partOf, SchemaWalk } from "./internal/SchemaWalk.ts"

/** The annotation of a schema whose values may hold what looks like a secret. */
const AllowId: unique symbol = Symbol.for("smithers-orchestrator/secrets/Allow")

/**
 * Lets the values of a schema, at whatever depth, be stored though the guard finds a secret in them. Each time it does,
 * the observer is told where, what and this reason. A key of an object is never let through.
 */
export const allow = (reason: string) => <S extends Schema.Annotable.All>(schema: S): Schema.Annotable.Self<S> =>
  schema.annotations({ [AllowId]: reason })

const reasonOf = ({ annotations }: SchemaAST.Annotated): string | undefined => {
  const reason = annotations[AllowId]
  return typeof reason === "string" ? reason : undefined
}

const decode = Schema.decodeUnknownEither(Schema.parseJson(Schema.Unknown))

/** Says for paths of one JSON text, which the schema encoded, why a secret may stand there; undefined: it may not. */
export const reasonsIn = (schema: Schema.Schema.All, text: string): (path: Path) => string | undefined => {
  const decoded = decode(text)
  if (Either.isLeft(decoded)) return () => undefined
  const walk = new SchemaWalk()
  return ({ inKey, steps }) => {
    if (inKey) return undefined
    let ast: SchemaAST.AST = schema.ast
    let value = decoded.right
    for (const step of [...steps, undefined]) {
      const nodes = walk.nodes(ast, value)
      for (const node of nodes) {
        const reason = reasonOf(node)
        if (reason !== undefined) return reason
      }
      const part = step === undefined ? undefined : partOf(nodes.at(-1), step)
      if (step === undefined || part === undefined) return undefined
      ast = part
      value = at(value, step)
    }
    return undefined
  }
}
