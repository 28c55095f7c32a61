import { parseArgs } from "node:util"
import { crash } from "./Crash.ts"
import { fuzz } from "./Fuzz.ts"

// npm run soak -- crash [--kills 200] [--seed 1]
// npm run soak -- fuzz [--count 20000] [--seed 1]
// npm run soak -- all
// Progress on stderr, one JSON document on stdout; exit code 1 when something did not hold.

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "200" },
    count: { type: "string", default: "20000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) }
  }
})

const say = (line: string) => process.stderr.write(`${line}\n`)
const seed = Number(values.seed)

const campaigns: Readonly<Record<string, () => Promise<{ readonly violations: ReadonlyArray<string> }>>> = {
  crash: () => crash({ kills: Number(values.kills), seed, say }),
  fuzz: () => fuzz({ count: Number(values.count), seed, say })
}

const [name = ""] = positionals
const chosen = name === "all" ? Object.keys(campaigns) : name in campaigns ? [name] : []
if (chosen.length === 0) {
  say(`usage: npm run soak -- ${Object.keys(campaigns).join("|")}|all [--kills N] [--count N] [--seed S]`)
  process.exit(2)
}

const report: Record<string, unknown> = {}
let violated = false
for (const campaign of chosen) {
  const result = await campaigns[campaign]!()
  report[campaign] = result
  for (const violation of result.violations) say(`${campaign}: VIOLATED: ${violation}`)
  if (result.violations.length > 0) violated = true
  say(`${campaign}: ${result.violations.length === 0 ? "everything held" : "did NOT hold"}`)
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
process.exit(violated ? 1 : 0)
