import { Schema } from "effect"
import { CatalogScope } from "../model/index.ts"

const unauthorizedMessages = {
  Missing: "A bearer token is required",
  Invalid: "Invalid token",
  Revoked: "Token has been revoked",
  Expired: "Token expired; issue a refreshed token."
} as const

/** The presented credential does not authenticate anybody. Never says more than its reason. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  reason: Schema.Literal("Missing", "Invalid", "Revoked", "Expired")
}) {
  override get message(): string {
    return unauthorizedMessages[this.reason]
  }

  /** The command that gets a working credential, when the presented one was once good. */
  get refresh(): "smithers token issue" | undefined {
    return this.reason === "Revoked" || this.reason === "Expired" ? "smithers token issue" : undefined
  }
}

/** Authenticated, but the grant does not reach as far as what was asked. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  /** The scope that was missing; of a refused issue possibly one that is not in the catalog. */
  requiredScope: Schema.Union(CatalogScope, Schema.String),
  /** The method or operation it was needed for. */
  method: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    const needed = `Missing required scope ${this.requiredScope}`
    return this.method === null ? needed : `${needed} for ${this.method}`
  }
}

/** A grant was asked for that is outside the bounds; nothing was written. */
export class InvalidGrant extends Schema.TaggedError<InvalidGrant>()("InvalidGrant", {
  field: Schema.String,
  /** What the field has to satisfy. */
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${this.bound}`
  }
}

/** No grant has this id. */
export class TokenNotFound extends Schema.TaggedError<TokenNotFound>()("TokenNotFound", {
  tokenId: Schema.String
}) {
  override get message(): string {
    return `No token has the id ${this.tokenId}`
  }
}

/** There is no such organization, or no such project of it, for the caller at least; nothing was written. */
export class TenantNotFound extends Schema.TaggedError<TenantNotFound>()("TenantNotFound", {
  orgId: Schema.String,
  projectId: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    return this.projectId === null
      ? `No organization has the id ${this.orgId}`
      : `Organization ${this.orgId} has no project ${this.projectId}`
  }
}

/** The service has no admin token and cannot make one. */
export class AdminTokenUnavailable extends Schema.TaggedError<AdminTokenUnavailable>()("AdminTokenUnavailable", {
  detail: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}
