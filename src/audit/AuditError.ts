import { Schema } from "effect"

/** The audit's files in the home cannot be read or written, so that nothing could be signed. */
export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  reason: Schema.Literal("Key", "Files"),
  detail: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** The request is outside of what the audit does; nothing was changed. */
export class InvalidAuditRequest extends Schema.TaggedError<InvalidAuditRequest>()("InvalidAuditRequest", {
  field: Schema.String,
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${this.bound}`
  }
}

/** A sink did not take a checkpoint. */
export class DeliveryFailed extends Schema.TaggedError<DeliveryFailed>()("DeliveryFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}
