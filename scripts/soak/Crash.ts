import fs from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { distribution } from "../../test/cli/distribution.ts"
import { workflowName } from "./CrashWorkflow.ts"
import { collect, readLines } from "./Evidence.ts"
import { seeded } from "./Random.ts"
import { call, newToken, startService, workingDirectory } from "./Service.ts"
import { makeSubscriber } from "./Subscriber.ts"
import { judge, judgeFinished, nothingYet } from "./Verdict.ts"

interface CrashReport {
  readonly seed: number
  readonly kills: number
  readonly killsBeforeReady: number
  readonly runs: number
  readonly tasks: number
  /** Executions that a kill had made void: the task was executed again. */
  readonly repeated: number
  readonly events: number
  readonly seconds: number
  readonly violations: ReadonlyArray<string>
}

const tasks = 60
/** A life ends before its service listens, this often. */
const earlyDeaths = 0.15
const longestLifeMs = 250
/** A service that neither gets ready nor ends. */
const startLimitMs = 30_000
/** A run that no kill disturbs any more, from the start of its service. */
const finishLimitMs = 60_000

/** Kills the service again and again while it executes runs, and looks after each kill at what is left. */
export const crash = async (
  { kills: wanted, say, seed }: {
    readonly kills: number
    readonly seed: number
    readonly say: (line: string) => void
  }
): Promise<CrashReport> => {
  const random = seeded(seed)
  const program = distribution()
  const directory = workingDirectory("crash")
  const home = path.join(directory, "home")
  const token = newToken()
  const started = performance.now()
  const violations: Array<string> = []
  const count = { kills: 0, early: 0, runs: 0, repeated: 0, events: 0 }
  let typicalStartMs = 1_000

  const start = () =>
    startService({
      program,
      home,
      token,
      workflows: [path.resolve("scripts/soak/CrashWorkflow.ts")],
      // A run that is killed this often looks as if it made no progress: the engine would hold it for an operator.
      env: { SMITHERS_MAX_RESUMES: "1000000" }
    })

  const runToItsEnd = async () => {
    const runId = `crash-${seed}-${++count.runs}`
    const file = path.join(directory, `${runId}.lines`)
    let finished = () => {}
    const end = new Promise<"finished">((resolve) => {
      finished = () => resolve("finished")
    })
    const subscriber = makeSubscriber(runId, token, ({ event }) => {
      if (event === "run.completed" || event === "RunFinished") finished()
    })
    let launched = false
    let acknowledged = nothingYet

    const lookAtIt = () => {
      const evidence = collect(home, runId, file)
      const judged = judge(evidence, acknowledged, subscriber.seen, launched)
      acknowledged = judged.acknowledged
      violations.push(...[...judged.violations, ...subscriber.violations].map((text) => `${runId}: ${text}`))
      return evidence
    }

    for (;;) {
      const service = start()
      const bornAt = performance.now()
      const enough = count.kills >= wanted
      const early = !enough && random.next() < earlyDeaths
      const momentMs = random.next() * (early ? typicalStartMs : longestLifeMs)
      let killed = false
      const killLater = async () => {
        await sleep(momentMs)
        if (service.hasEnded()) return
        killed = true
        service.kill("SIGKILL")
      }
      const life = async () => {
        const url = await service.url
        typicalStartMs = typicalStartMs * 0.7 + (performance.now() - bornAt) * 0.3
        if (!early && !enough) void killLater()
        if (!launched) {
          const { frame } = await call(url, token, "launchRun", {
            workflow: workflowName,
            runId,
            input: { file, tasks }
          })
          // The answer to an earlier try may have died with its process.
          if (!frame.ok && frame.error?.code !== "CONFLICT") {
            violations.push(`${runId}: launch refused: ${frame.error?.code} ${frame.error?.message}`)
          }
          launched = true
        }
        subscriber.connect(url)
        return end
      }
      if (early) void killLater()
      const limit = new AbortController()
      const outcome = await Promise.race([
        life().catch(() => "died" as const),
        service.ended.then(() => "died" as const),
        sleep(enough ? finishLimitMs : startLimitMs, "stuck" as const, { signal: limit.signal })
      ])
      limit.abort()
      if (outcome === "finished") {
        const graceful = random.next() < 0.5
        service.kill(graceful ? "SIGTERM" : "SIGKILL")
        if (!graceful) count.kills++
      }
      if (outcome === "stuck") {
        service.kill("SIGKILL")
        violations.push(`${runId}: no end within ${enough ? finishLimitMs : startLimitMs} ms`)
      }
      const { code, stderr } = await service.ended
      subscriber.disconnect()
      if (outcome === "died" && !killed) violations.push(`${runId}: the service ended by itself, ${code}: ${stderr}`)
      if (killed) {
        count.kills++
        if (early) count.early++
      }
      const evidence = lookAtIt()
      if (outcome === "finished") violations.push(...judgeFinished(evidence, subscriber.seen, tasks))
      if (violations.length > 0 || outcome === "finished") {
        count.events += evidence.events.length
        count.repeated += evidence.lines.length - new Set(evidence.lines.map(({ nodeId }) => nodeId)).size
        say(
          `crash: run ${count.runs} ${evidence.status ?? "not there"}, ${acknowledged.tasks.size}/${tasks} tasks, ` +
            `${readLines(file).length} executions, ${evidence.events.length} events, ${count.kills}/${wanted} kills`
        )
        return
      }
    }
  }

  say(`crash: seed ${seed}, ${wanted} kills, ${program}`)
  while (count.kills < wanted && violations.length === 0) await runToItsEnd()
  if (violations.length === 0) fs.rmSync(directory, { recursive: true, force: true })
  else say(`crash: the home is kept for inspection: ${home}`)
  return {
    seed,
    kills: count.kills,
    killsBeforeReady: count.early,
    runs: count.runs,
    tasks: count.runs * tasks,
    repeated: count.repeated,
    events: count.events,
    seconds: Math.round((performance.now() - started) / 1_000),
    violations: [...new Set(violations)]
  }
}
