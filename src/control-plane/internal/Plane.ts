import { Clock, Effect } from "effect"
import type { AuditDetail, AuditEntry } from "../../audit/index.ts"
import { actorName } from "../../model/index.ts"
import { type Persistence, type PersistenceError, Write } from "../../persistence/index.ts"
import { CurrentActor } from "../CurrentActor.ts"
import type { UsageFeed } from "../UsageFeed.ts"
import { append } from "./AuditChain.ts"

/** One change, as both audits tell of it. */
interface Change {
  readonly orgId: string
  readonly projectId?: string | null
  /** `<noun>.<verb>` */
  readonly action: string
  readonly targetType: string
  readonly targetId: string
  readonly detail?: AuditDetail
}

/** What the parts of the control plane stand on. */
export interface Plane {
  readonly persistence: Persistence.Persistence["Type"]
  readonly feed: UsageFeed["Type"]
  /**
   * Commits a change together with its row in the organization's audit and its entry in the service's. The unit is made
   * with the time of the change and checks what has to be there.
   */
  readonly change: <A, E>(
    change: Change,
    unit: (nowMs: number) => Write.Write<A, E>
  ) => Effect.Effect<A, E | PersistenceError>
  /** The same when the organization's audit goes too: only the service's remembers. */
  readonly removal: <A, E>(
    change: Change,
    unit: Write.Write<A, E>
  ) => Effect.Effect<A, E | PersistenceError>
}

export const makePlane = (
  persistence: Persistence.Persistence["Type"],
  appendToService: (entry: AuditEntry) => Write.Write<unknown>,
  feed: UsageFeed["Type"]
): Plane => {
  const entry = ({ action, detail, orgId, projectId, targetId, targetType }: Change) =>
    Effect.gen(function*() {
      const actor = yield* CurrentActor
      const atMs = yield* Clock.currentTimeMillis
      return {
        actor,
        atMs,
        unit: appendToService({
          atMs,
          actor,
          action,
          target: targetId,
          runId: null,
          outcome: "ok",
          reason: null,
          orgId,
          projectId: projectId ?? null,
          detail: {
            orgId,
            ...(projectId === undefined || projectId === null ? {} : { projectId }),
            targetType,
            ...detail
          }
        })
      }
    })
  return {
    persistence,
    feed,
    change: (change, unit) =>
      Effect.gen(function*() {
        const { actor, atMs, unit: serviceEntry } = yield* entry(change)
        const { action, detail = {}, orgId, projectId = null, targetId, targetType } = change
        const [answer] = yield* persistence.write(Write.all([
          unit(atMs),
          append([{
            orgId,
            projectId,
            actorId: actorName(actor),
            action,
            targetType,
            targetId,
            occurredAtMs: atMs,
            metadata: detail
          }], { checkProjects: false }),
          serviceEntry
        ]))
        return answer
      }),
    removal: (change, unit) =>
      Effect.gen(function*() {
        const { unit: serviceEntry } = yield* entry(change)
        const [answer] = yield* persistence.write(Write.all([unit, serviceEntry]))
        return answer
      })
  }
}
