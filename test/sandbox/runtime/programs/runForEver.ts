import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { bubblewrapWith, run } from "../support.ts"

/** Runs a command in a sandbox that does not end, with the word given as argument in its command line; with a port, if given. */
const [, , word, port] = process.argv

NodeRuntime.runMain(
  run(`perl -e "sleep 100000" ${word} & echo up; wait`, {
    policy: { ports: port === undefined ? [] : [{ host: Number(port), sandbox: Number(port) }] },
    onOutput: ({ bytes }) => Effect.sync(() => process.stdout.write(bytes))
  }).pipe(Effect.provide(bubblewrapWith()))
)
