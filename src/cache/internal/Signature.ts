import { type Schema, SchemaAST } from "effect"
import { isSensitive } from "../Sensitive.ts"
import { sha256 } from "./Digest.ts"

/** What a schema accepts, as far as that can be told without executing its functions. */
interface Signature {
  /** Changes when the structure of the schema changes, or what its filters and transformations are called. */
  readonly hash: string
  readonly sensitive: boolean
}

const maxDepth = 256

/** The annotations that tell one filter, declaration or transformation from another. */
const naming = [
  SchemaAST.IdentifierAnnotationId,
  SchemaAST.TitleAnnotationId,
  SchemaAST.SchemaIdAnnotationId,
  SchemaAST.TypeConstructorAnnotationId,
  SchemaAST.BrandAnnotationId,
  SchemaAST.JSONSchemaAnnotationId
]

const plain = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(plain).join(",")}]`
    : typeof value === "object" && value !== null
    ? `{${Object.entries(value).map(([name, held]) => `${name}:${plain(held)}`).sort().join(",")}}`
    : typeof value === "string"
    ? JSON.stringify(value)
    : String(value)

const names = ({ annotations }: SchemaAST.Annotated): string =>
  naming.map((id) => annotations[id]).map((value) => value === undefined ? "" : plain(value)).join(";")

const isRedacted = ({ annotations }: SchemaAST.Annotated): boolean =>
  plain(annotations[SchemaAST.TypeConstructorAnnotationId]) === `{_tag:"effect/Redacted"}`

class Walk {
  sensitive = false
  private readonly above: Array<SchemaAST.AST> = []

  text(ast: SchemaAST.AST): string {
    if (isSensitive(ast) || isRedacted(ast)) this.sensitive = true
    if (this.above.length >= maxDepth) return "deeper"
    this.above.push(ast)
    const text = `${ast._tag}<${names(ast)}>(${this.inside(ast)})`
    this.above.pop()
    return text
  }

  private all(asts: ReadonlyArray<SchemaAST.AST>): string {
    return asts.map((ast) => this.text(ast)).join(",")
  }

  private element(element: SchemaAST.Type): string {
    if (isSensitive(element)) this.sensitive = true
    return `${element instanceof SchemaAST.OptionalType && element.isOptional ? "?" : ""}${this.text(element.type)}`
  }

  private inside(ast: SchemaAST.AST): string {
    switch (ast._tag) {
      case "Declaration":
        return this.all(ast.typeParameters)
      case "Literal":
        return `${typeof ast.literal}:${plain(ast.literal)}`
      case "UniqueSymbol":
        return String(ast.symbol)
      case "Enums":
        return plain(ast.enums)
      case "TemplateLiteral":
        return `${plain(ast.head)},${ast.spans.map(({ literal, type }) => this.text(type) + plain(literal)).join(",")}`
      case "TupleType":
        return `${ast.elements.map((element) => this.element(element)).join(",")}|${
          ast.rest.map((element) => this.element(element)).join(",")
        }`
      case "TypeLiteral":
        return [
          ...ast.propertySignatures.map((property) => `${plain(String(property.name))}:${this.element(property)}`)
            .sort(),
          ...ast.indexSignatures.map(({ parameter, type }) => `[${this.text(parameter)}]:${this.text(type)}`)
        ].join(",")
      case "Union":
        return this.all(ast.types)
      case "Suspend": {
        const target = ast.f()
        const index = this.above.indexOf(target)
        return index === -1 ? this.text(target) : `@${index}`
      }
      case "Refinement":
        return this.text(ast.from)
      case "Transformation":
        return `${this.text(ast.from)},${this.text(ast.to)},${ast.transformation._tag}${
          ast.transformation._tag === "TypeLiteralTransformation"
            ? ast.transformation.propertySignatureTransformations.map(({ from, to }) => `${String(from)}>${String(to)}`)
              .join(",")
            : ""
        }`
      default:
        return ""
    }
  }
}

const signatures = new WeakMap<SchemaAST.AST, Signature>()

/** Computed once per schema: make schemas outside of what is executed often. */
export const signatureOf = ({ ast }: Schema.Schema.All): Signature => {
  const known = signatures.get(ast)
  if (known !== undefined) return known
  const walk = new Walk()
  const signature = { hash: sha256(walk.text(ast)), sensitive: walk.sensitive }
  signatures.set(ast, signature)
  return signature
}
