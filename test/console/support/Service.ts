import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

/** The real service in a process of its own, on a home of its own. */
export interface Service {
  readonly address: string
  readonly token: string
  readonly home: string
  /** SIGKILL: nothing is said to anybody. */
  readonly kill: () => Promise<void>
  /** Starts again on the same home and port. */
  readonly start: () => Promise<void>
  /** Kills it and removes its home. */
  readonly dispose: () => Promise<void>
}

const token = "administrator-of-the-console-test"

export const startService = async (): Promise<Service> => {
  const home = mkdtempSync(join(tmpdir(), "smithers-console-home-"))
  let child: ChildProcess
  let port = "0"
  let address = ""

  const start = async () => {
    child = spawn(process.execPath, ["dist/main.js"], {
      env: {
        PATH: process.env["PATH"],
        SMITHERS_HOME: home,
        SMITHERS_PORT: port,
        SMITHERS_ADMIN_TOKEN: token,
        SMITHERS_WORKFLOWS: "test/console/programs/Greeting.ts,test/console/programs/Edit.ts",
        SMITHERS_UI_ENTRY: "test/console/programs/ui/main.js",
        SMITHERS_UI_PATH: "/ops/desk",
        SMITHERS_UI_TITLE: "Acme <operations>",
        SMITHERS_UI_PROPS: JSON.stringify({ greeting: "</script><b>Hello</b>, Acme" })
      },
      stdio: ["ignore", "pipe", "inherit"]
    })
    for await (const line of createInterface({ input: child.stdout! })) {
      const [, url] = /^Console\s+(http\S+)\/console$/.exec(line) ?? []
      if (url === undefined) continue
      address = url
      port = new URL(url).port
      return
    }
    throw new Error("The service ended before it listened")
  }
  const kill = async () => {
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
  }

  await start()
  return {
    address,
    token,
    home,
    kill,
    start,
    dispose: async () => {
      await kill()
      rmSync(home, { recursive: true, force: true })
    }
  }
}
