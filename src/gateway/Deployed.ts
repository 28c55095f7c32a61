import { Context } from "effect"

/** What the build says of itself. */
interface BuildRecord {
  /** Of the repository it was built from; null: it was built outside of one. */
  readonly commit: string | null
  /** There were changes that nobody had committed. */
  readonly dirty: boolean
  /** The whole gate passed on that very commit before it was built. */
  readonly verified: boolean
}

/** A workflow module that the service goes without. */
interface FailedModule {
  readonly file: string
  readonly reason: string
  readonly detail: string
}

/** What only the composition of the service knows and its health and checklist tell; nothing unless provided. */
export class Deployed extends Context.Reference<Deployed>()("smithers-orchestrator/gateway/Deployed", {
  defaultValue: (): {
    readonly build: BuildRecord | null
    readonly modulesFailed: ReadonlyArray<FailedModule>
  } => ({ build: null, modulesFailed: [] })
}) {}
