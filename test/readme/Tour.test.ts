import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { makeHome, running, smithers } from "../cli/Smithers.ts"
import * as GitRepository from "../examples/support/GitRepository.ts"
import { blocks } from "./support/Readme.ts"
import { differenceOf, normalized } from "./support/Transcript.ts"

interface Step {
  /** None: the output of a command that went on. */
  readonly command: string | undefined
  readonly output: ReadonlyArray<string>
}

/** What the README shows at a place of the tour: commands, each with its output. */
const steps = (tour: string): ReadonlyArray<Step> => {
  const lines = blocks.find((block) => block.tour === tour)?.body.trimEnd().split("\n") ?? []
  return lines.reduce<ReadonlyArray<Step>>((found, line) => {
    if (line.startsWith("$ ")) return [...found, { command: line.slice(2), output: [] }]
    const { command, output } = found.at(-1) ?? { command: undefined, output: [] }
    return [...found.slice(0, -1), { command, output: [...output, line] }]
  }, [])
}

const only = ([step, ...others]: ReadonlyArray<Step>): Step => {
  assert.deepStrictEqual(others, [])
  return step ?? assert.fail("the README does not show it")
}

/** The arguments after `smithers`, as a shell would hand them over. */
const argumentsOf = (command: string | undefined): ReadonlyArray<string> => {
  const [, line = ""] = /^smithers (.*?)(?: \| cat)?$/.exec(command ?? "") ?? []
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) =>
    single ?? double ?? bare ?? ""
  )
}

const uuid = /[0-9a-f]{8}-[0-9a-f-]{27}/

layer(NodeContext.layer, { excludeTestServices: true })("the tour of the README", (it) => {
  it.scoped("prints what the README says, kill -9 in the middle included", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* makeHome}/smithers-orchestrator`
      const { commit } = yield* GitRepository.make(path)
      yield* commit("feat: notes of a range")
      yield* commit("feat: approval of the text")
      const settings = { SMITHERS_HOME: `${path}/.smithers`, SMITHERS_REPO_ROOTS: path }
      const same = (shown: ReadonlyArray<string>, printed: string) =>
        assert.strictEqual(
          differenceOf(normalized(shown, path), normalized(printed.trimEnd().split("\n"), path)),
          undefined
        )

      const start = Effect.fnUntraced(function*({ command, output }: Step, port: string) {
        assert.strictEqual(command, "npm start")
        const service = yield* running([], { ...settings, SMITHERS_PORT: port })
        const said = yield* service.until("Stop it with Ctrl-C or SIGTERM.\n")
        same(output, said)
        return { ...service, port: /:(\d+)\/console/.exec(said)?.[1] ?? "" }
      })
      const first = yield* start(only(steps("start")), "0")

      const launch = only(steps("follow"))
      const follower = yield* running(argumentsOf(launch.command), settings)
      const beforeKill = yield* follower.until("  waiting-approval\n")
      same(launch.output, beforeKill)
      const runId = uuid.exec(beforeKill)?.[0] ?? assert.fail("no run id was printed")

      const tell = ({ command, output }: Step) =>
        Effect.map(
          smithers(argumentsOf(command).map((word) => word.replace(uuid, runId)), settings),
          ({ code, stderr, stdout }) => {
            same(output, stdout + stderr)
            return code
          }
        )
      for (const step of steps("look")) assert.strictEqual(yield* tell(step), 0)

      const [kill, ps] = steps("kill")
      assert.match(kill?.command ?? "", /^kill -9 \d+$/)
      yield* first.kill("SIGKILL")
      yield* first.ended
      assert.strictEqual(yield* tell(ps!), 3)

      const [again, ...decision] = steps("again")
      yield* start(again!, first.port)
      for (const step of decision) assert.strictEqual(yield* tell(step), 0)

      const { code, stdout } = yield* follower.ended
      assert.strictEqual(code, 0)
      assert.isTrue(stdout.startsWith(beforeKill))
      same(only(steps("result")).output, stdout.slice(beforeKill.length))

      const seqs = [...stdout.matchAll(/^\d\d:\d\d:\d\d +(\d+) /gm)].map(([, seq]) => Number(seq))
      assert.deepStrictEqual(seqs, seqs.map((_, index) => index + 1))
      assert.strictEqual(stdout.match(/NodeStarted +compose/g)?.length, 1)
      const notes = yield* fs.readFileString(`${path}/.smithers/artifacts/${runId}/RELEASE_NOTES.md`)
      assert.match(notes, /notes of a range[^]*approval of the text|approval of the text[^]*notes of a range/)
    }), 120_000)
})
