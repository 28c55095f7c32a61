import type { CatalogScope } from "../model/index.ts"
import type { Principal } from "./Principal.ts"

declare const granted: unique symbol

/**
 * Proof that `principal` was found to hold `scope`. Only `Access.authorize` makes one: the front door exports the type
 * alone.
 */
export class Permit<out S extends CatalogScope = CatalogScope> {
  declare readonly [granted]: S
  readonly principal: Principal
  readonly scope: S
  constructor(principal: Principal, scope: S) {
    this.principal = principal
    this.scope = scope
  }
}
