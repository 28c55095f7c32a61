/**
 * **Outbound**: requests of the service to addresses that others gave it, such as webhooks and the keys of identity
 * providers.
 *
 *     URL ─► https, or http to loopback ─► addresses of its host, private ones refused ─► one answer, bounded, in time
 */
export * as Outbound from "./Outbound.ts"
export * as OutboundConfig from "./OutboundConfig.ts"
export { OutboundFailed } from "./OutboundError.ts"
export { isPublic, isRange, isWithin } from "./PublicAddress.ts"
