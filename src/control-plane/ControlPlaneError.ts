import { Schema } from "effect"
import type { PersistenceError } from "../persistence/index.ts"

/** A value is outside what is accepted. Nothing was written; the value is not quoted, for it might be a secret. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", {
  field: Schema.String,
  /** What the field has to satisfy. */
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${this.bound}`
  }
}

export class OrgNotFound extends Schema.TaggedError<OrgNotFound>()("OrgNotFound", { orgId: Schema.String }) {
  override get message(): string {
    return `No organization has the id ${this.orgId}`
  }
}

const Kind = Schema.Literal(
  "team",
  "member",
  "project",
  "project-team",
  "billing-account",
  "identity-provider",
  "usage-limit",
  "secret-ref",
  "reservation"
)

/** The organization has no such thing. */
export class RecordNotFound extends Schema.TaggedError<RecordNotFound>()("RecordNotFound", {
  kind: Kind,
  orgId: Schema.String,
  id: Schema.String
}) {
  override get message(): string {
    return `Organization ${this.orgId} has no ${this.kind} ${this.id}`
  }
}

/** Another organization, or another team or project of the same one, has this slug. Nothing was written. */
export class SlugTaken extends Schema.TaggedError<SlugTaken>()("SlugTaken", {
  kind: Schema.Literal("organization", "team", "project"),
  slug: Schema.String
}) {
  override get message(): string {
    return `Another ${this.kind} has the slug ${this.slug}`
  }
}

/** What is there already does not allow the operation. Nothing was written. */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {
  reason: Schema.Literal(
    /** Something of this kind has the id. */
    "IdTaken",
    /** An organization of this id was deleted: its id stands for that one for ever. */
    "IdRetired",
    /** The idempotency key, or the id of the reservation, stands for something else. */
    "KeyReused",
    /** The organization measures as many different things as it may. */
    "TooManySeries",
    /** Others changed the same rows again and again meanwhile. */
    "Contended"
  ),
  id: Schema.String
}) {
  override get message(): string {
    switch (this.reason) {
      case "IdTaken":
        return `The id ${this.id} is taken`
      case "IdRetired":
        return `The id ${this.id} was that of an organization that was deleted; choose another one`
      case "KeyReused":
        return `The key ${this.id} was used for something else`
      case "TooManySeries":
        return `Organization ${this.id} measures as many different things as it may`
      case "Contended":
        return `Others kept changing ${this.id}; try again`
    }
  }
}

export type ReadError = InvalidInput | PersistenceError
export type ChangeError = ReadError | OrgNotFound | RecordNotFound
export type CreateError = ChangeError | SlugTaken | Conflict
