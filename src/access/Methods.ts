import { Context } from "effect"
import type { CatalogScope } from "../model/index.ts"

/**
 * The methods that can be called and the scope that each requires. A port: the gateway owns the catalog and fills this
 * before `Access.layer` is built. A grant may name a method, or `prefix.*`, only if it stands here.
 */
export class Methods extends Context.Reference<Methods>()("smithers-orchestrator/access/Methods", {
  defaultValue: (): ReadonlyMap<string, CatalogScope> => new Map()
}) {}
