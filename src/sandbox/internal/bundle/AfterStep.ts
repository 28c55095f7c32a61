import { Context, Effect } from "effect"

/**
 * Called after everything that changes the disk while changes are applied or undone, with what was done. For tests that
 * die at a certain step; by default nothing.
 */
export class AfterStep
  extends Context.Reference<AfterStep>()("smithers-orchestrator/sandbox/internal/bundle/AfterStep", {
    defaultValue: (): (step: string) => Effect.Effect<void> => () => Effect.void
  })
{}
