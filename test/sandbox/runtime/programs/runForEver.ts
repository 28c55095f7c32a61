import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { bubblewrapWith, run } from "../support.ts"

/** Runs a command in a sandbox that does not end, with the word given as argument in its command line. */
const word = process.argv[2]!

NodeRuntime.runMain(
  run(`perl -e "sleep 100000" ${word} & echo up; wait`, {
    onOutput: ({ bytes }) => Effect.sync(() => process.stdout.write(bytes))
  }).pipe(Effect.provide(bubblewrapWith()))
)
