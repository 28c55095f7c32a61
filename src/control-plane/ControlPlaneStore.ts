import { Cause, Effect, Exit } from "effect"
import { type Methods, methodsOn } from "./ControlPlane.ts"
import { makePlane } from "./internal/Plane.ts"
import { onDatabase, type SqliteDatabase } from "./internal/SyncPersistence.ts"
import { schema } from "./migrations.ts"
import { keep } from "./ScriptChanges.ts"

/** The methods of the control plane, which answer at once or throw their typed error. */
type Synchronous = {
  readonly [K in keyof Methods]: Methods[K] extends (...args: infer Args) => Effect.Effect<infer A, infer _E> ?
    (...args: Args) => A
    : never
}

const answer = <A, E>(effect: Effect.Effect<A, E>): A => {
  const exit = Effect.runSyncExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.squash(exit.cause)
}

/**
 * The control plane for a program without Effect: on a better-sqlite3 `Database` of its own, or on the file of a service,
 * which may run meanwhile.
 *
 * Switches foreign keys on and makes the tables that are missing. Each method is a transaction of its own, or part of one
 * that the caller has begun (`database.transaction`). How durable an answer is says the database's `synchronous`, which
 * better-sqlite3 leaves at NORMAL with WAL. Blocks the event loop while it works and while it waits for the lock of
 * another process (the database's `busy_timeout`).
 *
 * Changes are made by `system` and written to the audit of the organization; on the file of a service, into that of the
 * service too, which only the service appends to: within five seconds, or when it runs again. From there they are
 * delivered like any other, and so is usage that is recorded.
 */
export type ControlPlaneStore = Synchronous

export const ControlPlaneStore: new(database: SqliteDatabase) => ControlPlaneStore = class {
  constructor(database: SqliteDatabase) {
    database.pragma("foreign_keys = ON")
    if (database.pragma("foreign_keys", { simple: true }) !== 1) {
      throw new Error("foreign keys cannot be switched on inside a transaction")
    }
    for (const text of Object.values(schema).flat()) database.exec(text)
    const methods = methodsOn(makePlane(onDatabase(database), keep, null))
    for (const [name, method] of Object.entries(methods)) {
      const call = (...args: ReadonlyArray<unknown>) =>
        // Each method has its own parameters; the type above says which.
        answer((method as (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, Error>)(...args))
      Object.defineProperty(this, name, { value: call, enumerable: true })
    }
  }
} as never
