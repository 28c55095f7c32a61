import net from "node:net"

export interface HttpRequest {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const bytesOf = ({ body = "", headers = {}, method, path }: HttpRequest): Buffer =>
  Buffer.from([
    `${method} ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(method === "POST" ? [`Content-Length: ${Buffer.byteLength(body)}`] : []),
    "",
    body
  ].join("\r\n"))

const endOfHead = Buffer.from("\r\n\r\n")

/** Length of the answer that `bytes` begin with, once its head is there. */
const lengthOfAnswer = (bytes: Buffer): number | undefined => {
  const end = bytes.indexOf(endOfHead)
  if (end < 0) return undefined
  const head = bytes.toString("latin1", 0, end)
  if (!head.startsWith("HTTP/1.1 200")) throw new Error(`the answer is ${head.split("\r\n")[0]}`)
  const length = /^content-length: *(\d+)/im.exec(head)
  if (length === null) throw new Error("an answer without Content-Length")
  return end + endOfHead.length + Number(length[1])
}

/**
 * Answers a second of a server that is asked over keep-alive connections, each with one request at a time. Plain
 * sockets: the load costs as little as it can, as it shares the machine with what is measured.
 */
export const answersPerSecond = async (
  port: number,
  request: HttpRequest,
  { connections = 32, millis }: { readonly connections?: number; readonly millis: number }
): Promise<number> => {
  const bytes = bytesOf(request)
  const started = performance.now()
  const until = started + millis
  const one = () =>
    new Promise<number>((resolve, reject) => {
      let answers = 0
      let length: number | undefined
      let received = 0
      let pending: Buffer = Buffer.alloc(0)
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(bytes))
      socket.on("error", reject)
      socket.on("data", (chunk) => {
        received += chunk.length
        if (length === undefined) {
          pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
          try {
            length = lengthOfAnswer(pending)
          } catch (cause) {
            socket.destroy()
            return reject(cause)
          }
        }
        if (length === undefined || received < length) return
        answers++
        pending = Buffer.alloc(0)
        length = undefined
        received = 0
        if (performance.now() < until) socket.write(bytes)
        else {
          socket.destroy()
          resolve(answers)
        }
      })
    })
  const answers = await Promise.all(Array.from({ length: connections }, one))
  return answers.reduce((sum, count) => sum + count, 0) / (performance.now() - started) * 1_000
}
