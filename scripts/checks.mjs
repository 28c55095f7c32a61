// Runs npm scripts of this package side by side, one for each core, and prints what each said when it has ended:
//   node scripts/checks.mjs typecheck lint
// All of them run, so that one push tells everything; the exit code is 1 if one failed.
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { text } from "node:stream/consumers"

/** @param {string} script */
const check = async (script) => {
  const child = spawn("npm", ["run", "--silent", script], { stdio: ["ignore", "pipe", "pipe"] })
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("close", resolve))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  process.stdout.write(`${code === 0 ? "passed" : "FAILED"}: ${script}\n${out}${err}`)
  if (code !== 0) process.exitCode = 1
}

const waiting = process.argv.slice(2)
const work = async () => {
  for (let script = waiting.shift(); script !== undefined; script = waiting.shift()) await check(script)
}
await Promise.all(Array.from({ length: availableParallelism() }, work))
