import { Effect } from "effect"
import { ArtifactStore } from "../artifacts/index.ts"
import { RunStore } from "../journal/index.ts"
import { Authorized } from "./Caller.ts"
import { ArtifactRpcs, GetArtifact, ListArtifacts } from "./contract.ts"
import { artifactFailure, ownerOf } from "./internal/artifacts.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `ArtifactRpcs` from the store of artifacts. */
export const layer = ArtifactRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const store = yield* ArtifactStore.ArtifactStore
  const runs = yield* RunStore.RunStore
  const listing = failAs(ListArtifacts.errorSchema)
  const getting = failAs(GetArtifact.errorSchema)

  return {
    listArtifacts: ({ runId, ...page }) =>
      Effect.flatMap(ownerOf(runs, runId), (owner) => store.list(owner, page)).pipe(
        Effect.catchTags(artifactFailure({ runId })),
        listing
      ),

    getArtifact: ({ name, runId }) =>
      Effect.flatMap(ownerOf(runs, runId), (owner) => store.stat({ ...owner, name })).pipe(
        Effect.catchTags(artifactFailure({ runId, name })),
        getting
      )
  }
}))
