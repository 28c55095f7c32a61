import { Effect, Option } from "effect"
import type { ArtifactFailed, ArtifactRefused, Owner } from "../../artifacts/index.ts"
import { RunStore } from "../../journal/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import { failure, type GatewayFailure } from "../contract.ts"

/** Under whose name the artifacts of a run are. */
export const ownerOf = (
  runs: RunStore.RunStore["Type"],
  runId: string
): Effect.Effect<Owner, RunStore.RunNotFound | PersistenceError> =>
  Effect.flatMap(
    runs.tenantOf(runId),
    Option.match({
      onNone: () => new RunStore.RunNotFound({ runId }),
      onSome: (tenant) => Effect.succeed({ runId, tenant })
    })
  )

const sentences = {
  Altered: "is not what was put",
  Exists: "exists already",
  Refused: "is refused by the store",
  Unavailable: "cannot be had from the store now"
} as const

/** What callers are told of the store: never where it is. The log has the rest. */
export const artifactFailure = ({ name, runId }: { readonly runId: string; readonly name?: string }) => ({
  ArtifactRefused: ({ field, message }: ArtifactRefused): Effect.Effect<never, GatewayFailure> =>
    failure("INVALID_INPUT", message, { field }),
  ArtifactFailed: (error: ArtifactFailed): Effect.Effect<never, GatewayFailure> => {
    const { reason } = error
    const what = name === undefined ? `What run ${runId} left` : `Artifact ${name} of run ${runId}`
    return reason === "NotFound"
      ? failure("NOT_FOUND", `${what} is not there`)
      : Effect.zipRight(
        Effect.logWarning("The store of artifacts failed", error),
        failure("SERVER_ERROR", `${what} ${sentences[reason]}`, { reason })
      )
  }
})
