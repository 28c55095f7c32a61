import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Logger, LogLevel, ManagedRuntime, Stream } from "effect"
import { createReadStream } from "node:fs"
import path from "node:path"
import readline from "node:readline"
import { Audit, type AuditEntry, AuditSink, AuditTrail, Checkpoints, verifyExport } from "../../src/audit/index.ts"
import type { Actor, AuditCursor } from "../../src/model/index.ts"
import { Persistence, PersistenceConfig, Write } from "../../src/persistence/index.ts"
import { cpuMicrosEach } from "./Cpu.ts"
import { exportTo } from "./ExportFile.ts"
import { median, perSecond } from "./Figures.ts"
import { atLeast, figure, type Measurement, rawFull } from "./Measurement.ts"

const actor: Actor = { userId: "user:bench", tokenId: "0011223344556677", role: "operator", scopes: [] }

export const entryOf = (i: number): AuditEntry => ({
  atMs: 1_700_000_000_000 + i,
  actor,
  action: "run.launch",
  target: "bench",
  runId: `run-${i}`,
  outcome: "ok",
  reason: null,
  detail: { n: i }
})

export const layerAt = (home: string) =>
  AuditTrail.layer.pipe(
    Layer.provideMerge(Checkpoints.layer),
    Layer.provideMerge(Audit.layer),
    Layer.provideMerge(Persistence.layer),
    Layer.provide(AuditSink.layerNone),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous: "full", allowNetworkFileSystem: false })
    ),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
  )

/** An export, examined without the service. */
export const examined = (file: string, key: string) => {
  const lines = Stream.fromAsyncIterable(
    readline.createInterface({ input: createReadStream(file) }),
    (cause) => new Error(String(cause))
  )
  return Effect.flatMap(
    verifyExport(Stream.rechunk(lines, 256), key),
    ({ problem }) => problem === null ? Effect.void : Effect.dieMessage(problem.detail)
  )
}

/** The audit by itself: appended to, verified, exported, and the export verified. */
export const audit: Measurement = {
  name: "audit",
  about: "audit rows appended durably, verified and exported",
  run: async ({ directory, disk, quick }) => {
    const runtime = ManagedRuntime.make(layerAt(directory))
    const run = <A, E>(effect: Effect.Effect<A, E, ManagedRuntime.ManagedRuntime.Context<typeof runtime>>) =>
      runtime.runPromise(effect)
    const [{ append }, { write }, trail, checkpoints] = await run(
      Effect.all([Audit.Audit, Persistence.Persistence, AuditTrail.AuditTrail, Checkpoints.Checkpoints])
    )
    let made = 0
    const record = (count: number, concurrency: number) =>
      run(Effect.forEach(Array.from({ length: count }, () => made++), (i) => write(append(entryOf(i))), {
        concurrency,
        discard: true
      }))
    await record(5_000, 1_000)
    const rates: Array<number> = []
    const ratios: Array<number> = []
    const cpu: Array<number> = []
    const each = quick ? 5_000 : 40_000
    for (let i = 0; i < (quick ? 1 : 5); i++) {
      const before = disk.sample(250)
      const rate = await perSecond(each, async () => cpu.push(await cpuMicrosEach(each, () => record(each, 1_000))))
      rates.push(rate)
      ratios.push(rate / ((before + disk.sample(250)) / 2))
    }
    const rate = median(rates)
    const figures = [figure("audit rows, 1,000 writers", rate, "rows/s", {
      floor: rawFull(rate / median(ratios)),
      aim: atLeast(rate, 20_000, "≥ 20,000/s"),
      detail: { samples: rates.map(Math.round), cpuMicrosARow: median(cpu) }
    })]
    const rows = quick ? 50_000 : 1_000_000
    while (made < rows) {
      await run(
        write(Write.discard(Array.from({ length: Math.min(5_000, rows - made) }, () => append(entryOf(made++)))))
      )
    }
    await run(checkpoints.take)

    const verified: Array<number> = []
    const verifyCpu: Array<number> = []
    for (let i = 0; i < (quick ? 1 : 3); i++) {
      const work = async () => {
        const { problem } = await run(trail.verify)
        if (problem !== null) throw new Error(problem.detail)
      }
      verified.push(await perSecond(rows, async () => verifyCpu.push(await cpuMicrosEach(rows, work))))
    }
    const file = path.join(directory, "export.ndjson")
    const exported = await perSecond(
      rows,
      () => exportTo(file, (cursor?: AuditCursor) => run(trail.exportPage({ format: "ndjson", filter: {}, cursor })))
    )
    const key = await run(checkpoints.publicKey)
    const offline = await perSecond(rows, () => run(examined(file, key)))
    await runtime.dispose()
    const verifyRate = median(verified)
    return [
      ...figures,
      figure(`verify of ${rows} audit rows`, verifyRate, "rows/s", {
        aim: atLeast(verifyRate, 100_000, "≥ 100,000/s"),
        detail: {
          samples: verified.map(Math.round),
          cpuMicrosARow: median(verifyCpu)
        }
      }),
      figure(`export of ${rows} audit rows`, exported, "rows/s"),
      figure("verify of the export, offline", offline, "rows/s")
    ]
  }
}
