import { Context, type Effect } from "effect"
import type { PersistenceError, Write } from "../persistence/index.ts"
import type { UsageEvent } from "./UsageEvent.ts"

/** What whoever passes on usage does with it. */
interface Feed {
  /**
   * Once the tables are there, before the first event: has the database itself note each row of `_smithers_cp_usage_events`
   * that anybody inserts, another process too, in the transaction that inserts it; or no longer, when it is not open.
   */
  readonly attach: Effect.Effect<void, PersistenceError>
  readonly isOpen: boolean
  /** Extends the unit that stores events of this process by what is to be done when it has committed. */
  readonly post: <A>(
    events: (answer: A) => ReadonlyArray<UsageEvent>
  ) => <E>(unit: Write.Write<A, E>) => Write.Write<A, E>
}

/** Hears of every usage event that is stored; to be filled from above, nobody unless provided. */
export class UsageFeed extends Context.Reference<UsageFeed>()("smithers-orchestrator/control-plane/UsageFeed", {
  defaultValue: (): Feed | null => null
}) {}
