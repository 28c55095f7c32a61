// @effect-diagnostics nodeBuiltinImport:off -- listeners that do nothing but be there
import { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { type AddressInfo, createServer, type ListenOptions } from "node:net"
import { RuntimeFailed } from "../../RuntimeError.ts"
import { launch } from "./ChildProcess.ts"
import type { Targets } from "./ProbeProgram.ts"

const failed = (cause: unknown) => new RuntimeFailed({ runtime: "probe", reason: "Setup", detail: String(cause) })

const listen = (on: ListenOptions) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>, RuntimeFailed>((resume) => {
      const server = createServer((socket) => socket.on("error", () => undefined).destroy())
      server.once("error", (cause) => resume(Effect.fail(failed(cause))))
      server.listen(on, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
  )

/** Things of the host that a sandbox must not reach: a file, a process with a variable, listeners; gone with the scope. */
export const plantCanaries = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const word = randomBytes(16).toString("hex")
  const [file, socket] = yield* Effect.gen(function*() {
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "smithers-probe-" })
    const file = path.join(directory, "canary")
    // Open to all users: what keeps a sandbox out must not be that it is another user.
    yield* fs.chmod(directory, 0o755)
    yield* fs.writeFileString(file, word, { mode: 0o644 })
    return [file, path.join(directory, "socket")] as const
  }).pipe(Effect.mapError(failed))
  yield* listen({ path: socket })
  yield* Effect.mapError(fs.chmod(socket, 0o666), failed)
  const server = yield* listen({ port: 0, host: "127.0.0.1" })
  const { pid } = yield* launch({
    runtime: "probe",
    file: "/bin/sleep",
    args: ["3600"],
    env: { SMITHERS_CANARY: word }
  })
  const targets: Targets = { word, file, socket, pid, port: (server.address() as AddressInfo).port }
  return targets
})
