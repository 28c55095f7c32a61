import { ParseResult, Schema, SchemaAST } from "effect"

const encodedIs = new WeakMap<SchemaAST.AST, (value: unknown) => boolean>()

/** Whether the encoded value is one of this schema. */
const accepts = (ast: SchemaAST.AST, value: unknown): boolean => {
  const known = encodedIs.get(ast)
  if (known !== undefined) return known(value)
  const is = ParseResult.is(Schema.make(SchemaAST.encodedAST(ast)))
  encodedIs.set(ast, is)
  return is(value)
}

/**
 * Goes with an encoded value through the schema that encoded it, to the annotations on the way. Made for one value: which
 * member of a union a part belongs to is found out once.
 */
export class SchemaWalk {
  private readonly chosen = new Map<SchemaAST.Union, Map<unknown, SchemaAST.AST | undefined>>()

  /** All nodes that speak of this value as a whole, from the outermost to the one that gives it its structure. */
  nodes(ast: SchemaAST.AST, value: unknown): ReadonlyArray<SchemaAST.AST> {
    const nodes: Array<SchemaAST.AST> = []
    let node: SchemaAST.AST | undefined = ast
    while (node !== undefined) {
      nodes.push(node)
      switch (node._tag) {
        case "Transformation":
          nodes.push(node.to)
          node = node.from
          break
        case "Refinement":
          node = node.from
          break
        case "Suspend":
          node = node.f()
          break
        case "Union":
          node = this.member(node, value)
          break
        default:
          return nodes
      }
    }
    return nodes
  }

  private member(union: SchemaAST.Union, value: unknown): SchemaAST.AST | undefined {
    const known = this.chosen.get(union) ?? new Map<unknown, SchemaAST.AST | undefined>()
    this.chosen.set(union, known)
    if (known.has(value)) return known.get(value)
    const member = union.types.find((type) => accepts(type, value))
    known.set(value, member)
    return member
  }
}

/** Of the node that gives a value its structure: the schema of the part under this key or index. */
export const partOf = (ast: SchemaAST.AST | undefined, key: string | number): SchemaAST.AST | undefined => {
  switch (ast?._tag) {
    case "TypeLiteral":
      return (ast.propertySignatures.find(({ name }) => name === key) ??
        ast.indexSignatures.find(({ parameter }) => accepts(parameter, key)))?.type
    case "TupleType":
      return typeof key === "number" ? (ast.elements[key] ?? ast.rest[0])?.type : undefined
    default:
      return undefined
  }
}

/** The member or element of a value under this key or index. */
export const at = (value: unknown, key: string | number): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
