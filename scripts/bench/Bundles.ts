import { Effect } from "effect"
import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import * as BlobStore from "../../src/sandbox/BlobStore.ts"
import * as Bundle from "../../src/sandbox/Bundle.ts"
import { median } from "./Figures.ts"
import { figure, type Measurement } from "./Measurement.ts"

const mebibyte = 1_048_576

/** A result bundle of so many MiB in so many artifacts; other bytes each time, so that nothing is in the store already. */
const makeBundle = (directory: string, mebibytes: number, files: number, seed: number): void => {
  fs.mkdirSync(path.join(directory, "artifacts"), { recursive: true })
  fs.writeFileSync(path.join(directory, "README.md"), JSON.stringify({ outputs: {}, status: "finished" }))
  const content = Buffer.alloc(Math.floor(mebibytes * mebibyte / files), `${seed} of a bundle `)
  for (let file = 0; file < files; file++) {
    content.writeUInt32LE(file)
    fs.writeFileSync(path.join(directory, "artifacts", `${file}.bin`), content)
  }
}

/** The same without any guarantee but the last: every file is read, hashed, written beside, flushed and renamed. */
const copyPlainly = (from: string, to: string): void => {
  fs.mkdirSync(to)
  for (const name of fs.readdirSync(from)) {
    const content = fs.readFileSync(path.join(from, name))
    const sha256 = createHash("sha256").update(content).digest("hex")
    fs.writeFileSync(path.join(to, "draft"), content, { flush: true })
    fs.renameSync(path.join(to, "draft"), path.join(to, sha256))
  }
}

const millisOf = (run: () => void): number => {
  const started = performance.now()
  run()
  return performance.now() - started
}

/** MB/s of reading and checking a hostile bundle and taking it into the store. */
export const bundles: Measurement = {
  name: "bundles",
  about: "Bundle.readResult: scan, checks by handle, SHA-256, content-addressed copy on disk",
  run: async ({ directory, quick }) => {
    const measure = async (mebibytes: number, files: number) => {
      const ours: Array<number> = []
      const plain: Array<number> = []
      for (let turn = 0; turn < (quick ? 2 : 5); turn++) {
        const at = path.join(directory, `bundle-${files}-${turn}`)
        makeBundle(at, mebibytes, files, files * 10 + turn)
        const started = performance.now()
        await Effect.runPromise(Effect.provide(Bundle.readResult(at), BlobStore.layer(`${at}-store`)))
        ours.push(mebibytes / (performance.now() - started) * 1_000)
        plain.push(mebibytes / millisOf(() => copyPlainly(path.join(at, "artifacts"), `${at}-plain`)) * 1_000)
        for (const used of [at, `${at}-store`, `${at}-plain`]) fs.rmSync(used, { recursive: true })
      }
      return figure(`bundle validation, ${mebibytes} MiB in ${files} files`, median(ours), "MiB/s", {
        floor: { name: "read, hash, write, fsync", value: median(plain) },
        detail: { mebibytes, files, samples: ours }
      })
    }
    return [await measure(90, 20), await measure(16, 800)]
  }
}
