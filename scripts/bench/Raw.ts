import { median } from "./Figures.ts"
import { figure, type Measurement } from "./Measurement.ts"
import { openRawDisk } from "./RawDisk.ts"

/** The floor that everything durable is compared with. */
export const raw: Measurement = {
  name: "raw",
  about: "better-sqlite3 alone, one row a transaction",
  run: async ({ directory, disk, quick }) => {
    const normal = openRawDisk(directory, "NORMAL")
    for (let i = 0; i < (quick ? 2 : 5); i++) {
      disk.sample(quick ? 100 : 500)
      normal.sample(quick ? 100 : 500)
    }
    normal.close()
    return [
      figure("raw FULL", disk.median(), "tx/s", { detail: { samples: disk.samples().map(Math.round) } }),
      figure("raw NORMAL", median(normal.samples()), "tx/s", { detail: { samples: normal.samples().map(Math.round) } })
    ]
  }
}
