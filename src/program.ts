import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { Cli, Logs } from "./cli/index.ts"
import * as Version from "./cli/Version.ts"

// The service is a large graph: only `serve` (and `config`, which reads its settings) waits for it to load.
const composition = Effect.promise(() => import("./App.ts"))

const main = Cli.run(process.argv, {
  app: Effect.map(composition, ({ App }) => App),
  checkConfig: Effect.flatMap(composition, ({ checkSettings }) => checkSettings),
  work: Effect.map(composition, ({ work }) => work),
  version: Version.version
})

// A reader that went away (`smithers events … | head`) is the business of whoever writes.
process.stdout.on("error", () => {})
process.stderr.on("error", () => {})

NodeRuntime.runMain(Effect.provide(main, [NodeContext.layer, Logs.layer]), {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  teardown: (exit, onExit) => onExit(Cli.exitCodeOf(process.argv, exit))
})
