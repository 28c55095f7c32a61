import { Config, Context, Duration, Effect, Layer, Option } from "effect"

/** What is delivered: rows of the audit that name an organization and the signed checkpoints, or usage. */
export type Channel = "audit" | "billing"

export interface Settings {
  /** Channels that somebody listens to; of the others nothing is kept. */
  readonly channels: ReadonlyArray<Channel>
  /** Attempts at one batch, 1 to 1,000, before it is dead. */
  readonly maxAttempts: number
  /** How long a batch is tried before it is dead, at least a minute. */
  readonly maxAge: Duration.Duration
}

export const defaults: Settings = { channels: [], maxAttempts: 100, maxAge: Duration.days(1) }

/** What is delivered and how stubbornly; nothing unless provided. */
export class OutboxConfig extends Context.Reference<OutboxConfig>()("smithers-orchestrator/outbox/OutboxConfig", {
  defaultValue: () => defaults
}) {}

const isGiven = (webhook: Config.Config<string>) =>
  Effect.map(Config.nested(Config.option(webhook), "SMITHERS"), Option.isSome)

/** From `SMITHERS_OUTBOX_ATTEMPTS` and `SMITHERS_OUTBOX_MAX_AGE`; a channel is open when its webhook is set. */
export const layerConfig = Layer.effect(
  OutboxConfig,
  Effect.gen(function*() {
    const settings = yield* Config.nested(
      Config.all({
        maxAttempts: Config.withDefault(
          Config.validate(Config.integer("OUTBOX_ATTEMPTS"), {
            message: "must be between 1 and 1000",
            validation: (count) => count >= 1 && count <= 1_000
          }),
          defaults.maxAttempts
        ),
        maxAge: Config.withDefault(
          Config.validate(Config.duration("OUTBOX_MAX_AGE"), {
            message: "must be between 1 minute and 30 days",
            validation: (age) => Duration.between(age, { minimum: "1 minute", maximum: "30 days" })
          }),
          defaults.maxAge
        )
      }),
      "SMITHERS"
    )
    const audit = yield* isGiven(Config.string("AUDIT_WEBHOOK"))
    const billing = yield* isGiven(Config.string("BILLING_WEBHOOK"))
    const channels = [...(audit ? ["audit" as const] : []), ...(billing ? ["billing" as const] : [])]
    return OutboxConfig.of({ channels, ...settings })
  })
)
