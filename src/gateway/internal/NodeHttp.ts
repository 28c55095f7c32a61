// @effect-diagnostics nodeBuiltinImport:off -- types only: what the raw server of Listener.ts hands to its callbacks
export type { IncomingMessage, ServerResponse } from "node:http"
