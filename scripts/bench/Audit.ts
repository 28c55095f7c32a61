import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Logger, LogLevel, ManagedRuntime, Stream } from "effect"
import { createReadStream, createWriteStream } from "node:fs"
import path from "node:path"
import readline from "node:readline"
import { Audit, type AuditEntry, AuditSink, AuditTrail, Checkpoints, verifyExport } from "../../src/audit/index.ts"
import type { Actor, AuditCursor } from "../../src/model/index.ts"
import { Persistence, PersistenceConfig, Write } from "../../src/persistence/index.ts"
import { cpuMicrosEach } from "./Cpu.ts"
import { median, perSecond } from "./Figures.ts"
import { atLeast, atMost, figure, type Measurement, rawFull } from "./Measurement.ts"
import { peakOf } from "./Memory.ts"

const actor: Actor = { userId: "user:bench", tokenId: "0011223344556677", role: "operator", scopes: [] }

const entryOf = (i: number): AuditEntry => ({
  atMs: 1_700_000_000_000 + i,
  actor,
  action: "run.launch",
  target: "bench",
  runId: `run-${i}`,
  outcome: "ok",
  reason: null,
  detail: { n: i }
})

const layerAt = (home: string) =>
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
    const peaks: Array<number> = []
    for (let i = 0; i < (quick ? 1 : 3); i++) {
      const [, peak] = await peakOf(async () => {
        const work = async () => {
          const { problem } = await run(trail.verify)
          if (problem !== null) throw new Error(problem.detail)
        }
        verified.push(await perSecond(rows, async () => verifyCpu.push(await cpuMicrosEach(rows, work))))
      })
      peaks.push(peak)
    }
    const file = path.join(directory, "export.ndjson")
    const [exported, exportPeak] = await peakOf(() =>
      perSecond(rows, async () => {
        const out = createWriteStream(file)
        let cursor: AuditCursor | undefined
        do {
          const page = await run(trail.exportPage({ format: "ndjson", filter: {}, cursor }))
          if (!out.write(page.text)) await new Promise<void>((resolve) => out.once("drain", resolve))
          cursor = page.next ?? undefined
        } while (cursor !== undefined)
        await new Promise<void>((resolve) => out.end(resolve))
      })
    )
    const key = await run(checkpoints.publicKey)
    const [offline, offlinePeak] = await peakOf(() =>
      perSecond(rows, async () => {
        const lines = Stream.fromAsyncIterable(
          readline.createInterface({ input: createReadStream(file) }),
          (cause) => new Error(String(cause))
        )
        const { problem } = await run(verifyExport(Stream.rechunk(lines, 256), key))
        if (problem !== null) throw new Error(problem.detail)
      })
    )
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
      figure("memory of a verify at its peak", Math.max(...peaks), "MB", {
        aim: atMost(Math.max(...peaks), 50, "≤ 50 MB")
      }),
      figure(`export of ${rows} audit rows`, exported, "rows/s"),
      figure("memory of an export at its peak", exportPeak, "MB", { aim: atMost(exportPeak, 50, "≤ 50 MB") }),
      figure("verify of the export, offline", offline, "rows/s"),
      figure("memory of that at its peak", offlinePeak, "MB", { aim: atMost(offlinePeak, 50, "≤ 50 MB") })
    ]
  }
}
