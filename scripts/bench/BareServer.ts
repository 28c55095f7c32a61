import { type ChildProcess, fork } from "node:child_process"
import http from "node:http"

/**
 * A `node:http` server that does what any JSON server must: read the body, parse it, make the text of an answer, send it.
 * Its answers are those of the service, so both send the same bytes. Runs in a process of its own.
 */
export const serveBare = (): void => {
  process.once("message", (bodies: Readonly<Record<string, unknown>>) => {
    const server = http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        if (chunks.length > 0) JSON.parse(Buffer.concat(chunks).toString("utf8"))
        const text = JSON.stringify(bodies[request.url ?? ""])
        response.writeHead(200, {
          "Content-Type": "application/json",
          "Cache-Control": "no-store",
          "X-Content-Type-Options": "nosniff",
          "X-Smithers-API-Version": "v1",
          "Content-Length": Buffer.byteLength(text)
        })
        response.end(text)
      })
    })
    server.listen(0, "127.0.0.1", () => process.send!((server.address() as { readonly port: number }).port))
  })
  process.on("disconnect", () => process.exit(0))
}

export const startBare = async (
  bodies: Readonly<Record<string, unknown>>
): Promise<{ readonly port: number; readonly child: ChildProcess }> => {
  const child = fork("scripts/run.mjs", ["scripts/bench/main.ts", "--bare"], { execArgv: [], stdio: [0, 2, 2, "ipc"] })
  child.send(bodies)
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve(message as number))
    child.once("exit", () => reject(new Error("the bare server ended")))
  })
  return { port, child }
}
