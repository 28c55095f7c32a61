/**
 * **Outbox**: what the service tells others of, delivered at least once and in order for each organization.
 *
 *     audit row · usage event ──same commit──► message ─► batch (text and id fixed) ─► sink ── taken ─► gone
 *     signed checkpoint ──────────────────────►              ▲  1 s … 15 min            │ not taken
 *                                                             └──────── due ◄────────────┤
 *                                                     retry ▲                            ▼ 100 attempts or a day
 *                                                           └─────────── dead letter ────┴──► dropped
 *
 * A lane is one organization in one channel; lanes know nothing of each other. `Sinks` are the ports, `Webhooks` their
 * default.
 */
export * as Courier from "./Courier.ts"
export * as DeadLetters from "./DeadLetters.ts"
export * as Feeds from "./Feeds.ts"
export * as Outbox from "./Outbox.ts"
export * as OutboxConfig from "./OutboxConfig.ts"
export * as Sinks from "./Sinks.ts"
export * as WebhookConfig from "./WebhookConfig.ts"
export * as Webhooks from "./Webhooks.ts"
