import { Effect, Either, Option, Schema } from "effect"
import { BlobStore } from "../BlobStore.ts"
import { BundleLimits } from "../BundleLimits.ts"
import { ChangeSet } from "../Change.ts"
import * as DiffBundle from "../DiffBundle.ts"
import { failed } from "../SandboxRequest.ts"
import { type NodeDiff, SandboxStore } from "../SandboxStore.ts"

const decodeSet = Schema.decode(Schema.parseJson(ChangeSet))

/** What a change set has on the wire, about: the lines of its texts, and whole contents of everything else. */
const sizeOf = ({ changes }: ChangeSet): number =>
  changes.reduce((sum, { content, hunks, path, produced }) => {
    const lines = hunks.flatMap((hunk) => hunk.lines)
    const whole = content === "binary" || content === "large" ? Math.ceil((produced?.bytes ?? 0) / 3) * 4 : 0
    return lines.reduce((bytes, line) => bytes + line.length + 1, sum + path.length + whole)
  }, 0)

/** Change sets that were stored, alone and together as diffs. */
export const makeDiffs = Effect.gen(function*() {
  const store = yield* SandboxStore
  const blobs = yield* BlobStore
  const setup = (id: string) => (cause: { readonly message: string }) => failed(id, "Setup", cause.message)

  const load = (diff: NodeDiff) =>
    Effect.flatMap(
      Effect.mapError(blobs.get(diff.blob), setup(diff.nodeId)),
      (text) => Effect.mapError(decodeSet(text.toString("utf8")), setup(diff.nodeId))
    )

  /** Change sets as one answer, in this order; one after the other, so that no more than the bound is in memory. */
  const together = Effect.fnUntraced(function*(diffs: ReadonlyArray<NodeDiff>) {
    const [first] = diffs
    if (first === undefined) return Option.none()
    const maxBytes = BundleLimits.answerBytes
    const patches: Array<DiffBundle.Patch> = []
    let sizeBytes = 0
    let fits = true
    for (const diff of diffs) {
      const changes = yield* load(diff)
      sizeBytes += sizeOf(changes)
      if (!fits || sizeBytes > maxBytes) continue
      const bundle = yield* DiffBundle.fromChangeSet(changes, { maxBytes: maxBytes - DiffBundle.bytesOf(patches) })
        .pipe(
          Effect.provideService(BlobStore, blobs),
          Effect.either
        )
      if (Either.isRight(bundle)) patches.push(...bundle.right.patches)
      else if (bundle.left._tag === "BundleRefused" && bundle.left.rule === "TotalSize") fits = false
      else return yield* setup(diff.nodeId)(bundle.left)
    }
    const { baseRef } = first
    if (fits && sizeBytes <= maxBytes) return Option.some({ seq: diffs.length, baseRef, patches })
    const oversized: DiffBundle.Oversized = {
      status: "oversized",
      baseRef,
      terminalRef: diffs.at(-1)!.changeSet,
      sizeBytes: Math.max(sizeBytes, maxBytes + 1),
      maxBytes
    }
    return Option.some(oversized)
  })

  return {
    changeSet: Effect.fn("Sandbox.changeSet")(function*(runId: string, id: string) {
      const found = yield* Effect.mapError(store.findDiff(runId, id), setup(id))
      if (found === undefined) return yield* failed(id, "Unknown", `run ${runId} has no change set ${id}`)
      return yield* load(found)
    }),
    nodeDiff: Effect.fn("Sandbox.nodeDiff")(function*(runId: string, nodeId: string, iteration: number) {
      const diffs = yield* store.diffsOf(runId)
      return yield* together(diffs.filter((diff) => diff.nodeId === nodeId && diff.iteration === iteration))
    }),
    runDiff: Effect.fn("Sandbox.runDiff")((runId: string) => Effect.flatMap(store.diffsOf(runId), together))
  }
})
