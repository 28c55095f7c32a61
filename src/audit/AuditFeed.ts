import { Context } from "effect"
import type { AuditRecord } from "../model/index.ts"
import type { Write } from "../persistence/index.ts"

/** What whoever passes on the rows of organizations does with them. */
interface Feed {
  /** Extends the unit that appends a row by what is to be committed with it. */
  readonly post: <A>(row: (answer: A) => AuditRecord) => <E>(unit: Write.Write<A, E>) => Write.Write<A, E>
}

/** Hears of every row that names an organization, in the commit that appends it; to be filled from above, nobody unless provided. */
export class AuditFeed extends Context.Reference<AuditFeed>()("smithers-orchestrator/audit/AuditFeed", {
  defaultValue: (): Feed | null => null
}) {}
