import { Effect, ManagedRuntime } from "effect"
import path from "node:path"
import { Audit, AuditTrail, Checkpoints } from "../../src/audit/index.ts"
import type { AuditCursor } from "../../src/model/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"
import { entryOf, examined, layerAt } from "./Audit.ts"
import { openPlane } from "./ControlPlane.ts"
import { exportTo } from "./ExportFile.ts"
import { atMost, type Figure, figure, type Measurement } from "./Measurement.ts"
import { peakOf } from "./Memory.ts"

const megabytes = async (name: string, work: () => Promise<unknown>): Promise<Figure> => {
  const [, peak] = await peakOf(work)
  return figure(`memory, ${name}`, peak, "MB", { aim: atMost(peak, 50, "≤ 50 MB") })
}

const ofService = async (directory: string, rows: number): Promise<ReadonlyArray<Figure>> => {
  const runtime = ManagedRuntime.make(layerAt(path.join(directory, "service")))
  const run = <A, E>(effect: Effect.Effect<A, E, ManagedRuntime.ManagedRuntime.Context<typeof runtime>>) =>
    runtime.runPromise(effect)
  const [{ append }, { write }, trail, checkpoints] = await run(
    Effect.all([Audit.Audit, Persistence.Persistence, AuditTrail.AuditTrail, Checkpoints.Checkpoints])
  )
  for (let made = 0; made < rows;) {
    await run(write(Write.discard(Array.from({ length: Math.min(5_000, rows - made) }, () => append(entryOf(made++))))))
  }
  await run(checkpoints.take)
  const file = path.join(directory, "audit.ndjson")
  const key = await run(checkpoints.publicKey)
  const figures = [
    await megabytes("verify", () => run(trail.verify)),
    await megabytes(
      "export",
      () => exportTo(file, (cursor?: AuditCursor) => run(trail.exportPage({ format: "ndjson", filter: {}, cursor })))
    ),
    await megabytes("verify offline", () => run(examined(file, key)))
  ]
  await runtime.dispose()
  return figures
}

const ofOrganization = async (directory: string, rows: number): Promise<Figure> => {
  const { cp, runtime } = await openPlane(path.join(directory, "organization"))
  for (let made = 0; made < rows; made += 5_000) {
    await runtime.runPromise(Effect.forEach(
      Array.from({ length: 5_000 }, (_, i) => made + i),
      (i) => cp.recordAuditEvent({ orgId: "org", action: "thing.done", targetType: "thing", targetId: `t${i}` }),
      { concurrency: 1_000, discard: true }
    ))
  }
  const found = await megabytes("export of an organization", () =>
    exportTo(
      path.join(directory, "org.ndjson"),
      (cursor?: string) => runtime.runPromise(cp.exportOrgPart({ orgId: "org", cursor }))
    ))
  await runtime.dispose()
  return found
}

/** What examining and exporting a long audit needs at its peak, in a process whose heap may hardly grow. */
export const exportMemory: Measurement = {
  name: "export-memory",
  about: "memory that verifies and exports of a long audit need",
  heapMegabytes: 128,
  run: async ({ directory, quick }) => {
    const rows = quick ? 50_000 : 1_000_000
    return [...await ofService(directory, rows), await ofOrganization(directory, rows)]
  }
}
