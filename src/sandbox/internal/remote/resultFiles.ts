import { Effect, Schema } from "effect"
import type { BlobStore } from "../../BlobStore.ts"
import { BundleLimits } from "../../BundleLimits.ts"
import { Tree } from "../../Tree.ts"
import { Collisions } from "../../TreePath.ts"
import { WorkerRefused } from "../../WorkerRefused.ts"
import type { Files, Job } from "./Job.ts"
import { maxManifestBytes } from "./Uploads.ts"

/** A list of files as it is sent, both ways. */
const Manifest = Schema.parseJson(Tree.fields.files.pipe(Schema.maxItems(BundleLimits.treeFiles)))
export const encodeManifest = Schema.encode(Manifest)
export const decodeManifest = Schema.decodeUnknown(Manifest)

const refuse = (reason: WorkerRefused["reason"], bound: string) => new WorkerRefused({ reason, field: "files", bound })

/** The first thing that is wrong about a list of files that a worker has sent. */
const problemOf = (files: Files, job: Job): WorkerRefused | undefined => {
  const known = new Map([...job.command?.base ?? []].map(({ bytes, sha256 }) => [sha256, bytes]))
  const collisions = new Collisions()
  const places = new Set<string>()
  const maxBytes = Math.min(job.limits.diskLimit, BundleLimits.treeBytes)
  const maxFileBytes = Math.min(job.limits.fileSize, BundleLimits.fileBytes)
  let total = 0
  for (const { bytes, path, sha256 } of files) {
    if (places.has(path)) return refuse("Corrupt", "no path is there twice")
    places.add(path)
    const problem = collisions.add(path)
    if (problem !== undefined) return refuse("Corrupt", `${problem.rule}: ${problem.bound}`)
    if ((known.get(sha256) ?? job.uploaded.get(sha256)) !== bytes) {
      return refuse("OutOfOrder", "each content is one of the job or was uploaded before, with its size")
    }
    if (bytes > maxFileBytes) return refuse("TooLarge", `a file has at most ${maxFileBytes} bytes`)
    total += bytes
    if (total > maxBytes) return refuse("TooLarge", `all files have at most ${maxBytes} bytes together`)
  }
  for (const path of places) {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      if (places.has(path.slice(0, slash))) return refuse("Corrupt", "no file is where another has a directory")
    }
  }
  return undefined
}

/** The files that a command left, as the uploaded list says; hostile input. */
export const resultFiles = (
  job: Job,
  manifest: string,
  blobs: BlobStore["Type"]
): Effect.Effect<Files, WorkerRefused> =>
  Effect.gen(function*() {
    if (!job.uploaded.has(manifest)) return yield* refuse("OutOfOrder", "the list was uploaded before")
    const text = yield* Effect.mapError(
      blobs.get(manifest, maxManifestBytes),
      () => refuse("TooLarge", `the list has at most ${maxManifestBytes} bytes`)
    )
    const files = yield* Effect.mapError(
      decodeManifest(text.toString("utf8")),
      () => refuse("Corrupt", `a list of at most ${BundleLimits.treeFiles} files with portable relative paths`)
    )
    const problem = problemOf(files, job)
    return problem === undefined ? files : yield* problem
  })
