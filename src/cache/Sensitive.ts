import { type Schema, type SchemaAST } from "effect"

/** The annotation of a schema whose values must not be kept. */
const SensitiveId: unique symbol = Symbol.for("smithers-orchestrator/cache/Sensitive")

/**
 * Marks the values of a schema as sensitive: a result that may hold one, at whatever depth, is never cached.
 * `Schema.Redacted` is sensitive by itself.
 */
export const sensitive = <S extends Schema.Annotable.All>(schema: S): Schema.Annotable.Self<S> =>
  schema.annotations({ [SensitiveId]: true })

export const isSensitive = ({ annotations }: SchemaAST.Annotated): boolean => annotations[SensitiveId] === true
