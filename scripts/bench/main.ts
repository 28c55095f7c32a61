import { fork } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { parseArgs } from "node:util"
import { audit } from "./Audit.ts"
import { serveBare } from "./BareServer.ts"
import { bundles } from "./Bundles.ts"
import { cache } from "./Cache.ts"
import { coldStart } from "./ColdStart.ts"
import { concurrent } from "./Concurrent.ts"
import { controlPlane } from "./ControlPlane.ts"
import { exportMemory } from "./ExportMemory.ts"
import { fanout } from "./Fanout.ts"
import { latency } from "./Latency.ts"
import { type Figure, type Measurement } from "./Measurement.ts"
import { parked } from "./Parked.ts"
import { raw } from "./Raw.ts"
import { openRawDisk } from "./RawDisk.ts"
import { resume } from "./Resume.ts"
import { rpc } from "./Rpc.ts"
import { sandboxStart } from "./SandboxStart.ts"
import { sequential } from "./Sequential.ts"
import { table } from "./Table.ts"

// npm run bench -- [--quick] [--large] [--only name,name] [--here]
// One JSON document on stdout, a table on stderr. Each measurement has a process of its own, so that none inherits the
// heap or the compiled code of another; `--here` keeps to this process, for a profiler.

const measurements: ReadonlyArray<Measurement> = [
  raw,
  sequential,
  concurrent,
  latency,
  cache,
  audit,
  resume,
  parked,
  rpc,
  fanout,
  coldStart,
  sandboxStart,
  bundles,
  controlPlane,
  exportMemory
]

/** Longest that one measurement may take. */
const limitMs = 10 * 60_000

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    only: { type: "string" },
    here: { type: "boolean", default: false },
    child: { type: "string" },
    bare: { type: "boolean", default: false }
  }
})
const { here, large, quick } = values

const say = (line: string) => process.stderr.write(`${line}\n`)

const named = (name: string): Measurement => {
  const found = measurements.find((measurement) => measurement.name === name)
  if (found === undefined) {
    throw new Error(`no measurement ${name}; there are ${measurements.map((known) => known.name).join(", ")}`)
  }
  return found
}

/** On the file system of the repository: what is measured is this disk, not a tmpfs. */
const parent = path.join(process.cwd(), "node_modules/.cache/bench")

const measure = async (measurement: Measurement): Promise<ReadonlyArray<Figure>> => {
  fs.mkdirSync(parent, { recursive: true })
  const directory = fs.mkdtempSync(path.join(parent, `${measurement.name}-`))
  const disk = openRawDisk(directory, "FULL")
  try {
    return await measurement.run({ quick, large, directory, disk, say })
  } finally {
    disk.close()
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

interface Outcome {
  readonly figures: ReadonlyArray<Figure>
  readonly error: string | null
}

const outcomeOf = async (measurement: Measurement): Promise<Outcome> => {
  try {
    return { figures: await measure(measurement), error: null }
  } catch (cause) {
    return { figures: [], error: cause instanceof Error ? cause.stack ?? cause.message : String(cause) }
  }
}

/** As `npm start` has it, unless the measurement is of memory. */
const heapOf = ({ heapMegabytes }: Measurement) =>
  heapMegabytes === undefined
    ? ["--max-semi-space-size=64"]
    : ["--max-semi-space-size=4", `--max-old-space-size=${heapMegabytes}`]

const measureApart = (measurement: Measurement): Promise<Outcome> =>
  new Promise((resolve) => {
    const child = fork(
      "scripts/run.mjs",
      [
        "scripts/bench/main.ts",
        "--child",
        measurement.name,
        ...(quick ? ["--quick"] : []),
        ...(large ? ["--large"] : [])
      ],
      { execArgv: ["--expose-gc", ...heapOf(measurement)], stdio: ["ignore", 2, 2, "ipc"] }
    )
    let outcome: Outcome = { figures: [], error: "the process of the measurement ended without a result" }
    const timer = setTimeout(() => {
      outcome = { figures: [], error: `no result within ${limitMs / 1_000} s` }
      child.kill("SIGKILL")
    }, limitMs)
    child.on("message", (message) => {
      outcome = message as Outcome
    })
    child.on("close", () => {
      clearTimeout(timer)
      resolve(outcome)
    })
  })

const cpu = () => ({ model: os.cpus()[0]?.model ?? "unknown", count: os.availableParallelism() })

if (values.bare) {
  serveBare()
} else if (values.child !== undefined) {
  const outcome = await outcomeOf(named(values.child))
  process.send!(outcome, undefined, undefined, () => process.exit(0))
} else {
  const chosen = values.only === undefined ? measurements : values.only.split(",").map(named)
  const loadBefore = os.loadavg()[0]!
  const figures: Array<Figure> = []
  const errors: Record<string, string> = {}
  for (const measurement of chosen) {
    say(`bench: ${measurement.name}: ${measurement.about}`)
    const outcome = await (here ? outcomeOf(measurement) : measureApart(measurement))
    figures.push(...outcome.figures)
    if (outcome.error !== null) {
      errors[measurement.name] = outcome.error
      say(`bench: ${measurement.name} failed: ${outcome.error}`)
    }
  }
  say(table(figures))
  const [load] = os.loadavg()
  const machine = { node: process.version, cpu: cpu(), loadBefore, loadAfter: load, platform: process.platform }
  process.stdout.write(
    `${JSON.stringify({ at: new Date().toISOString(), quick, machine, figures, errors }, null, 2)}\n`
  )
}
