import { Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { Budget } from "../engine/index.ts"
import type { Tenant } from "../model/index.ts"
import * as ControlPlane from "./ControlPlane.ts"

export interface Options {
  /** Who pays for a run, its tenant unless given; null: nobody, and then nothing limits it and nothing is recorded. */
  readonly tenantOf?: (spender: Budget.Spender) => Tenant | null
  /** Kept free for each attempt of a task until it is over, in milliseconds; a minute unless given. */
  readonly reserveMs?: number
  /** How long that may be, in milliseconds; an hour unless given. An attempt that takes longer is still recorded. */
  readonly ttlMs?: number
}

/**
 * What is measured of itself: `steps` (`count`, 1 an attempt), `agent_runtime_ms` (`ms`), and `sandbox_seconds`
 * (`seconds`) of what is executed in a sandbox.
 */
const metrics = {
  steps: { metric: "steps", unit: "count" },
  runtime: { metric: "agent_runtime_ms", unit: "ms" },
  sandbox: { metric: "sandbox_seconds", unit: "seconds" }
} as const

const minute = 60_000

/** Short whatever the ids are, and the same for the same attempt. */
const reservationId = ({ attempt, iteration, nodeId, runId }: Budget.Spending, metric: string): string =>
  `${createHash("sha256").update(`${runId} ${nodeId} ${iteration} ${attempt}`).digest("hex").slice(0, 40)}/${metric}`

const make = ({ reserveMs = minute, tenantOf = ({ tenant }) => tenant, ttlMs = 60 * minute }: Options) =>
  Effect.gen(function*() {
    const plane = yield* ControlPlane.ControlPlane
    const wanted = [{ ...metrics.steps, quantity: 1 }, { ...metrics.runtime, quantity: reserveMs }]

    const release = (orgId: string, ids: ReadonlyArray<string>) =>
      Effect.forEach(ids, (id) => Effect.ignoreLogged(plane.releaseUsage({ orgId, reservationId: id })), {
        discard: true
      })

    const reserve = (spending: Budget.Spending, { orgId, projectId }: Tenant) =>
      Effect.gen(function*() {
        const held: Array<string> = []
        for (const { metric, quantity, unit } of wanted) {
          const id = reservationId(spending, metric)
          const { runId } = spending
          const answer = yield* plane.reserveUsage({
            orgId,
            projectId,
            runId,
            reservationId: id,
            metric,
            unit,
            quantity,
            ttlMs
          })
          if (answer._tag === "Refused") {
            yield* release(orgId, held)
            return false
          }
          held.push(id)
        }
        return true
      })

    /** How many more attempts the tenant has room for. */
    const room = ({ orgId, projectId }: Tenant) =>
      Effect.reduce(
        wanted,
        Infinity,
        (least, { metric, quantity, unit }) =>
          Effect.map(plane.checkUsageLimit({ orgId, projectId, metric, unit }), (check) =>
            (check?.limits ?? []).reduce(
              (left, { enforcement, remainingQuantity }) =>
                enforcement === "hard" && quantity > 0
                  ? Math.min(left, Math.floor(remainingQuantity / quantity))
                  : left,
              least
            ))
      )

    const refused = (what: string) => (cause: { readonly message: string }) =>
      Effect.as(Effect.logWarning(`${what}: ${cause.message}`), false)

    return Budget.Budget.of({
      limits: (spender) => tenantOf(spender) !== null,
      exhausted: (tenant) =>
        Effect.gen(function*() {
          for (const { metric, unit } of Object.values(metrics)) {
            const check = yield* plane.checkUsageLimit({ ...tenant, metric, unit })
            const reached = check?.limits.find(({ enforcement, limitQuantity, usedQuantity }) =>
              enforcement === "hard" && usedQuantity >= limitQuantity
            )
            if (reached !== undefined) {
              return { metric, unit, limit: reached.limitQuantity, used: reached.usedQuantity }
            }
          }
          return null
        }).pipe(
          // Its tasks wait until it can be asked.
          Effect.catchAll((cause) =>
            Effect.as(Effect.logWarning(`A budget could not be asked: ${cause.message}`), null)
          )
        ),
      record: (spending, { metric, quantity, unit }) => {
        const tenant = tenantOf(spending)
        if (tenant === null) return Effect.void
        const { attempt, iteration, nodeId, runId, workflow } = spending
        return Effect.catchAll(
          Effect.asVoid(plane.recordUsage({
            ...tenant,
            runId,
            metric,
            unit,
            quantity,
            idempotencyKey: reservationId(spending, metric),
            metadata: { nodeId, iteration, attempt, workflow }
          })),
          (cause) => Effect.logWarning(`Usage of run ${runId} was not recorded: ${cause.message}`)
        )
      },
      reserve: (spending) => {
        const tenant = tenantOf(spending)
        return tenant === null
          ? Effect.succeed(true)
          : Effect.catchAll(
            reserve(spending, tenant),
            refused(`Run ${spending.runId} waits: its budget could not be asked`)
          )
      },
      settle: (spending, { durationMs }) => {
        const tenant = tenantOf(spending)
        if (tenant === null) {
          return Effect.void
        }
        const { orgId } = tenant
        const metadata = {
          nodeId: spending.nodeId,
          iteration: spending.iteration,
          attempt: spending.attempt,
          workflow: spending.workflow
        }
        const used = [{ ...metrics.steps, quantity: 1 }, {
          ...metrics.runtime,
          quantity: Math.max(0, Math.round(durationMs))
        }]
        return Effect.forEach(used, ({ metric, quantity }) =>
          Effect.catchAll(
            plane.settleUsage({ orgId, reservationId: reservationId(spending, metric), quantity, metadata }),
            (cause) => Effect.logWarning(`Usage of run ${spending.runId} was not recorded: ${cause.message}`)
          ), { discard: true, concurrency: "unbounded" })
      },
      fitting: (waiting) =>
        Effect.gen(function*() {
          const left = new Map<string, number>()
          const going: Array<Budget.Spender> = []
          for (const spender of waiting) {
            const tenant = tenantOf(spender)
            if (tenant === null) {
              going.push(spender)
              continue
            }
            const key = `${tenant.orgId} ${tenant.projectId ?? ""}`
            const known = left.get(key)
            const free = known ?? (yield* Effect.catchAll(
              room(tenant),
              (cause) => Effect.as(Effect.logWarning(`A budget could not be asked: ${cause.message}`), 0)
            ))
            left.set(key, free - 1)
            if (free >= 1) {
              going.push(spender)
            }
          }
          return going
        })
    })
  })

/**
 * The engine's budget: every attempt of a task reserves one of `steps` and `reserveMs` of `agent_runtime_ms` in the
 * limits of its tenant, and records what it really took, under an id of run, node, iteration and attempt. Runs of a
 * tenant whose hard limit is reached, children included, stop between two tasks and go on, oldest first, within the
 * supervisor's interval after there is room again. All runs together never use more than the limit by more than what
 * attempts take beyond their reservations. An organization or a project that is not there has no budget. An attempt that
 * dies with the process is not recorded, and its reservation expires.
 */
export const layer = (options: Options = {}) => Layer.effect(Budget.Budget, make(options))
