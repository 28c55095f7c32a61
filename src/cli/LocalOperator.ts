import type { Actor } from "../model/index.ts"

/** Whoever may open the home: as the audit names them for what is done to it without the service. */
export const localOperator: Actor = { userId: "local-operator", tokenId: null, role: "admin", scopes: [] }
