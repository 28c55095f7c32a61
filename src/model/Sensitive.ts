import { type Schema, SchemaAST } from "effect"

/** The annotation of a schema whose values must not be kept or shown. */
const SensitiveId: unique symbol = Symbol.for("smithers-orchestrator/model/Sensitive")

/**
 * Marks the values of a schema as sensitive, at whatever depth it stands: a result that may hold one is never cached,
 * and logs and errors that are redacted by their schema do not show it. `Schema.Redacted` is sensitive by itself.
 */
export const sensitive = <S extends Schema.Annotable.All>(schema: S): Schema.Annotable.Self<S> =>
  schema.annotations({ [SensitiveId]: true })

/** Whether this very node of a schema is marked, or is `Schema.Redacted`; nothing is said of what lies within. */
export const isSensitive = ({ annotations }: SchemaAST.Annotated): boolean => {
  if (annotations[SensitiveId] === true) return true
  const made = annotations[SchemaAST.TypeConstructorAnnotationId]
  return typeof made === "object" && made !== null && "_tag" in made && made._tag === "effect/Redacted"
}
