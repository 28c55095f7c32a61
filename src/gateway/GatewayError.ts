import { Schema } from "effect"

/** The gateway must not, or cannot, listen as configured. */
export class GatewayRefused extends Schema.TaggedError<GatewayRefused>()("GatewayRefused", {
  reason: Schema.Literal("InsecureBind", "TlsFiles", "Listen", "Ui"),
  detail: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}
