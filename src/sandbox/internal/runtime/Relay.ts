/** Where the proxy is found within a sandbox. */
export const relayPort = 3_128

/**
 * A program for node, run within a sandbox: hands connections to a loopback port of the sandbox to the socket of the
 * egress proxy, the only thing there that leads out. Arguments: port, path of the socket, descriptor that learns of it.
 */
export const relayProgram = `
import { closeSync, writeSync } from "node:fs"
import { connect, createServer } from "node:net"
const [port, path, control] = process.argv.slice(2)
const server = createServer({ allowHalfOpen: true }, (inner) => {
  const outer = connect({ path, allowHalfOpen: true })
  inner.on("error", () => outer.destroy())
  outer.on("error", () => inner.destroy())
  inner.pipe(outer)
  outer.pipe(inner)
})
server.maxConnections = 256
server.listen(Number(port), "127.0.0.1", () => {
  writeSync(Number(control), "r")
  closeSync(Number(control))
})
`
