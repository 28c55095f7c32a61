import { Context } from "effect"
import type { Write } from "../persistence/index.ts"
import type { UsageEvent } from "./UsageEvent.ts"

/** What whoever passes on usage does with it. */
interface Feed {
  /** Extends the unit that stores events by what is to be committed with them. */
  readonly post: <A>(
    events: (answer: A) => ReadonlyArray<UsageEvent>
  ) => <E>(unit: Write.Write<A, E>) => Write.Write<A, E>
}

/** Hears of every usage event, in the commit that stores it; to be filled from above, nobody unless provided. */
export class UsageFeed extends Context.Reference<UsageFeed>()("smithers-orchestrator/control-plane/UsageFeed", {
  defaultValue: (): Feed | null => null
}) {}
