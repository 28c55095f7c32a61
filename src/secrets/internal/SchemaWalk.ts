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

/** What a schema says of one member or element. */
export interface Part {
  readonly type: SchemaAST.AST
  /** The property or element itself, which has annotations of its own. */
  readonly field: SchemaAST.Annotated
}

/** Of the node that gives a value its structure: the part under this key or index. */
export const partOf = (ast: SchemaAST.AST | undefined, key: string | number): Part | undefined => {
  if (ast?._tag === "TypeLiteral") {
    const property = ast.propertySignatures.find(({ name }) => name === key)
    if (property !== undefined) return { type: property.type, field: property }
    const index = ast.indexSignatures.find(({ parameter }) => accepts(parameter, key))
    return index && { type: index.type, field: { annotations: {} } }
  }
  if (ast?._tag === "TupleType" && typeof key === "number") {
    const element = ast.elements[key] ?? ast.rest[0]
    return element && { type: element.type, field: element }
  }
  return undefined
}

/** The member or element of a value under this key or index. */
export const at = (value: unknown, key: string | number): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
