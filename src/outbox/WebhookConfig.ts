import { Config, ConfigError, Context, Effect, Layer, Option, Schema } from "effect"
import { SecretRef } from "../secrets/index.ts"
import type { Channel } from "./OutboxConfig.ts"

export interface Destination {
  /** https, or http to loopback. `{orgId}` in it stands for the organization, percent-encoded. */
  readonly url: string
  /** What deliveries are signed with. */
  readonly secret: SecretRef.SecretRef
}

/** Where the webhooks of the channels are; none unless provided. */
export class WebhookConfig extends Context.Reference<WebhookConfig>()("smithers-orchestrator/outbox/WebhookConfig", {
  defaultValue: (): Readonly<Record<Channel, Option.Option<Destination>>> => ({
    audit: Option.none(),
    billing: Option.none()
  })
}) {}

const isWebhook = (text: string): boolean => {
  const url = text.replaceAll("{orgId}", "org")
  if (!URL.canParse(url)) return false
  const { password, protocol, username } = new URL(url)
  return (protocol === "https:" || protocol === "http:") && username === "" && password === ""
}

const destination = (
  name: string,
  webhook: Config.Config<string>,
  secretRef: Config.Config<SecretRef.SecretRef>
) =>
  Effect.gen(function*() {
    const url = yield* Config.nested(
      Config.option(Config.validate(webhook, {
        message: "must be an https URL without credentials (http to loopback only)",
        validation: isWebhook
      })),
      "SMITHERS"
    )
    const secret = yield* Config.nested(Config.option(secretRef), "SMITHERS")
    if (Option.isSome(url) && Option.isNone(secret)) {
      return yield* Effect.fail(ConfigError.MissingData(
        [`SMITHERS_${name}_WEBHOOK_SECRET`],
        `Expected a reference to the secret that deliveries to SMITHERS_${name}_WEBHOOK are signed with`
      ))
    }
    return Option.zipWith(url, secret, (url, secret): Destination => ({ url, secret }))
  })

/** From `SMITHERS_AUDIT_WEBHOOK` and `SMITHERS_BILLING_WEBHOOK`, each with its `…_SECRET`, a secret reference. */
export const layerConfig = Layer.effect(
  WebhookConfig,
  Effect.map(
    Effect.all({
      audit: destination(
        "AUDIT",
        Config.string("AUDIT_WEBHOOK"),
        Schema.Config("AUDIT_WEBHOOK_SECRET", SecretRef.SecretRefText)
      ),
      billing: destination(
        "BILLING",
        Config.string("BILLING_WEBHOOK"),
        Schema.Config("BILLING_WEBHOOK_SECRET", SecretRef.SecretRefText)
      )
    }),
    WebhookConfig.of
  )
)
