import { checkArchitecture } from "./check-architecture.ts"
import { checkDeps } from "./check-deps.ts"
import { checkEffect } from "./check-effect.ts"
import { byPlace, type Finding, render } from "./Finding.ts"

const checks: Readonly<Record<string, (directory: string) => ReadonlyArray<Finding>>> = {
  architecture: checkArchitecture,
  deps: checkDeps,
  effect: checkEffect
}

const name = process.argv[2] ?? ""
const check = checks[name]
if (check === undefined) throw new Error(`usage: check.ts ${Object.keys(checks).join("|")}`)

const findings = [...check(process.cwd())].sort(byPlace)
for (const finding of findings) console.error(render(finding))
console.log(`check:${name} ${findings.length === 0 ? "found nothing" : `found ${findings.length}`}`)
process.exitCode = findings.length === 0 ? 0 : 1
