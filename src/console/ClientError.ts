import { Schema } from "effect"
import { type WireError } from "../gateway/contract.ts"

/** The gateway understood the request and refused it. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.String,
  message: Schema.String
}) {}

/** The gateway cannot be reached, or the connection broke. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { reason: Schema.String }) {
  override get message() {
    return `The service cannot be reached: ${this.reason}.`
  }
}

/** The gateway answered something that this console does not understand: their versions differ. */
export class NotUnderstood extends Schema.TaggedError<NotUnderstood>()("NotUnderstood", {
  method: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `The service's answer to ${this.method} was not understood. Reload the page to get the console that fits it.`
  }
}

export type ClientError = Refused | Unreachable | NotUnderstood

export const refusal = ({ code, message }: WireError): Refused => new Refused({ code, message })

/** The token is unknown, revoked or expired: only signing in again helps. */
export const endsSession = (error: ClientError): boolean => error._tag === "Refused" && error.code === "UNAUTHORIZED"
