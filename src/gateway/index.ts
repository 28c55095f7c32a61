/**
 * **Gateway**: one contract, its handlers, and the faces that serve it.
 *
 *     HTTP  ─┐                        ┌─ RunHandlers ── engine
 *     WS    ─┴─ Dispatcher ─ permit ──┼─ EventHandlers ─ journal
 *               scope · schema        └─ TokenHandlers ─ access …
 *
 *     journal ── Hub ── plain frames to every connection that wants them
 *             └─ RunStreams ── run.event frames: stored ones first, then live, each once
 */
export { CustomUi } from "./CustomUi.ts"
export { Deployed } from "./Deployed.ts"
export * as Gateway from "./Gateway.ts"
export * as GatewayConfig from "./GatewayConfig.ts"
export { GatewayRefused } from "./GatewayError.ts"
