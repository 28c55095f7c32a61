import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { createInterface } from "node:readline"

interface ServiceOptions {
  readonly program: string
  readonly home: string
  /** Workflow modules; none: the shipped ones. */
  readonly workflows: ReadonlyArray<string>
  readonly token: string
  readonly env?: Readonly<Record<string, string>>
  readonly nodeOptions?: ReadonlyArray<string>
}

/** A service in a process of its own. */
interface Service {
  readonly pid: number
  /** Its address, once it listens; rejects when it ends before. */
  readonly url: Promise<string>
  /** When the process is gone, with what it wrote to stderr. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>
  readonly hasEnded: () => boolean
  readonly kill: (signal: NodeJS.Signals) => void
}

export const newToken = (): string => `soak-${randomBytes(24).toString("hex")}`

const children = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130))

/** `serve` on any free port of the loopback; gone with this process at the latest. */
export const startService = ({ env, home, nodeOptions = [], program, token, workflows }: ServiceOptions): Service => {
  const child = spawn(process.execPath, [...nodeOptions, program, "serve", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      SMITHERS_HOME: home,
      SMITHERS_HOST: "127.0.0.1",
      SMITHERS_PORT: "0",
      SMITHERS_ADMIN_TOKEN: token,
      ...(workflows.length > 0 && { SMITHERS_WORKFLOWS: workflows.join(",") }),
      ...env
    }
  })
  children.add(child)
  let stderr = ""
  let over = false
  child.stderr.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("utf8")).slice(-16_384)
  })
  const ended = new Promise<{ readonly code: number | null; readonly stderr: string }>((resolve) => {
    child.on("close", (code) => {
      over = true
      children.delete(child)
      resolve({ code, stderr })
    })
  })
  const url = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /"url":\s*"([^"]+)"/.exec(line)
      if (found !== null) resolve(found[1]!)
    })
    void ended.then(({ code }) => reject(new Error(`the service ended with ${code} before it listened: ${stderr}`)))
  })
  // Whoever does not ask for the address does not care that there is none.
  url.catch(() => {})
  return { pid: child.pid!, url, ended, hasEnded: () => over, kill: (signal) => child.kill(signal) }
}

interface RpcAnswer {
  readonly status: number
  readonly frame: {
    readonly ok: boolean
    readonly payload?: unknown
    readonly error?: { readonly code: string; readonly message: string }
  }
}

/** `POST /v1/rpc/<method>`; rejects when the service goes away meanwhile. */
export const call = async (url: string, token: string, method: string, params: unknown): Promise<RpcAnswer> => {
  const response = await fetch(`${url}/v1/rpc/${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(params),
    signal: AbortSignal.timeout(60_000)
  })
  return { status: response.status, frame: await response.json() as RpcAnswer["frame"] }
}

/** The payload of a call that must succeed. */
export const ask = async <A>(url: string, token: string, method: string, params: unknown): Promise<A> => {
  const { frame } = await call(url, token, method, params)
  if (!frame.ok) throw new Error(`${method}: ${frame.error?.code}: ${frame.error?.message}`)
  return frame.payload as A
}

/** A temporary directory on the file system of the repository. */
export const workingDirectory = (name: string): string => {
  const parent = path.join(process.cwd(), "node_modules/.cache/soak")
  fs.mkdirSync(parent, { recursive: true })
  return fs.mkdtempSync(path.join(parent, `${name}-`))
}
