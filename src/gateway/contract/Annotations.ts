import { Context } from "effect"
import type { CatalogScope } from "../../model/index.ts"

/** The scope that a caller has to hold. */
export class RequiredScope extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/RequiredScope")<
  RequiredScope,
  CatalogScope
>() {}

/** Older names under which the method is served as well. */
export class Aliases
  extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/Aliases")<Aliases, ReadonlyArray<string>>()
{}

/** Reserved to the role `admin` and to grants of everything, whatever the scope says. */
export class AdminOnly
  extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/AdminOnly")<AdminOnly, true>()
{}
