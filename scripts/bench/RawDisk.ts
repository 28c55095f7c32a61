import Sqlite from "better-sqlite3"
import path from "node:path"
import { median } from "./Figures.ts"

/** What the disk gives to a program that does nothing but commit one row after the other. */
export interface RawDisk {
  /** One-row transactions a second over `millis`, kept for `median`. */
  readonly sample: (millis: number) => number
  /** Of every sample so far. */
  readonly median: () => number
  readonly samples: () => ReadonlyArray<number>
  readonly close: () => void
}

const row = JSON.stringify({ type: "NodeFinished", output: { ok: true, items: 3, note: "a small realistic row" } })

/** A database beside the one that is measured, as plain better-sqlite3 users have it: WAL, one prepared insert. */
export const openRawDisk = (directory: string, synchronous: "FULL" | "NORMAL"): RawDisk => {
  const db = new Sqlite(path.join(directory, `raw-${synchronous}.sqlite`))
  db.pragma("journal_mode = WAL")
  db.exec(`CREATE TABLE IF NOT EXISTS events (run_id TEXT NOT NULL, seq INTEGER NOT NULL, data_json TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL, PRIMARY KEY (run_id, seq)) STRICT, WITHOUT ROWID`)
  db.pragma(`synchronous = ${synchronous}`)
  const insert = db.prepare("INSERT INTO events VALUES (?, ?, ?, ?)")
  let seq = 0
  const commit = () => insert.run("run-1", ++seq, row, Date.now())
  commit()
  const level = db.pragma("synchronous", { simple: true })
  if (level !== (synchronous === "FULL" ? 2 : 1)) throw new Error(`synchronous=${synchronous} reads ${String(level)}`)
  const samples: Array<number> = []
  return {
    sample: (millis) => {
      const started = performance.now()
      let commits = 0
      let elapsed = 0
      while (elapsed < millis) {
        for (let i = 0; i < 16; i++) commit()
        commits += 16
        elapsed = performance.now() - started
      }
      const rate = commits / elapsed * 1_000
      samples.push(rate)
      return rate
    },
    median: () => median(samples),
    samples: () => samples,
    close: () => db.close()
  }
}
