import { FileSystem, Path } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { AuditUnavailable } from "../AuditError.ts"
import { SignedStatement } from "../Statement.ts"
import { publicPem, type SigningKey, signingKeyOf } from "./Signature.ts"

const decodeLine = Schema.decodeUnknownOption(Schema.parseJson(SignedStatement))
const encodeLine = Schema.encodeSync(Schema.parseJson(SignedStatement))

/**
 * `<home>/audit`: `signing-key.pem` (0600) and `public-key.pem`, `checkpoints.ndjson` with every signed statement, a line
 * each, and `spool.ndjson` with what other processes had to say (`Spool`).
 */
export const openFolder = Effect.fnUntraced(function*(home: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = path.join(home, "audit")
  const keyFile = path.join(root, "signing-key.pem")
  const nextKeyFile = path.join(root, "signing-key.next.pem")
  const publicKeyFile = path.join(root, "public-key.pem")
  const checkpoints = path.join(root, "checkpoints.ndjson")

  const unavailable = (reason: "Key" | "Files", what: string) => (cause: { readonly message: string }) =>
    new AuditUnavailable({
      reason,
      detail: `${what}: ${cause.message}.`,
      fix: "Check the permissions of SMITHERS_HOME and the room on its disk."
    })

  yield* Effect.mapError(
    Effect.zipRight(fs.makeDirectory(root, { recursive: true, mode: 0o700 }), fs.chmod(root, 0o700)),
    unavailable("Files", `${root} cannot be made`)
  )

  /** A file that is whole or not there, on disk when this returns. */
  const replace = (file: string, text: string, mode: number) =>
    Effect.gen(function*() {
      const fresh = `${file}.new`
      yield* fs.remove(fresh, { force: true })
      yield* Effect.scoped(Effect.gen(function*() {
        const handle = yield* fs.open(fresh, { flag: "wx", mode })
        yield* handle.writeAll(new TextEncoder().encode(text))
        yield* handle.sync
      }))
      yield* fs.rename(fresh, file)
    })

  const readKey = (file: string) =>
    Effect.gen(function*() {
      if (!(yield* fs.exists(file))) return Option.none<SigningKey>()
      const info = yield* fs.stat(file)
      if ((info.mode & 0o077) !== 0) {
        yield* fs.chmod(file, 0o600)
        yield* Effect.logWarning(`${file} was open to others; its mode is now 0600.`)
      }
      const pem = yield* fs.readFileString(file)
      return Option.some(
        yield* Effect.try({
          try: () => signingKeyOf(pem),
          catch: () => unavailable("Key", `${file} cannot be used`)({ message: "it holds no Ed25519 key" })
        })
      )
    }).pipe(Effect.mapError((cause) =>
      cause._tag === "AuditUnavailable" ? cause : unavailable("Key", `${file} cannot be read`)(cause)
    ))

  const publish = (key: SigningKey) => replace(publicKeyFile, publicPem(key), 0o644)

  /** A new key, on disk under the name of the next one: nothing is signed with it before it takes its place. */
  const stageKey = Effect.suspend(() => {
    const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString()
    return Effect.as(replace(nextKeyFile, pem, 0o600), signingKeyOf(pem))
  }).pipe(Effect.mapError(unavailable("Key", `${nextKeyFile} cannot be written`)))

  /** The staged key takes its place. */
  const installKey = (key: SigningKey) =>
    Effect.zipRight(publish(key), fs.rename(nextKeyFile, keyFile)).pipe(
      Effect.mapError(unavailable("Key", `${keyFile} cannot be written`))
    )

  /** Removes a last line that a crash cut off. */
  const mendStatements = Effect.gen(function*() {
    if (!(yield* fs.exists(checkpoints))) return
    const text = yield* fs.readFileString(checkpoints)
    const whole = text.lastIndexOf("\n") + 1
    if (whole < text.length) yield* fs.truncate(checkpoints, Buffer.byteLength(text.slice(0, whole)))
  }).pipe(Effect.mapError(unavailable("Files", `${checkpoints} cannot be mended`)))

  /** Statements of the file in its order; undefined when there is none. A line that is no statement is passed over. */
  const readStatements = Effect.gen(function*() {
    if (!(yield* fs.exists(checkpoints))) return undefined
    const text = yield* fs.readFileString(checkpoints)
    const whole = text.lastIndexOf("\n") + 1
    return text.slice(0, whole).split("\n").flatMap((line) => Option.toArray(decodeLine(line)))
  }).pipe(Effect.mapError(unavailable("Files", `${checkpoints} cannot be read`)))

  /** Appends and waits until it is on disk. */
  const appendStatements = (signed: ReadonlyArray<SignedStatement>) =>
    Effect.scoped(Effect.gen(function*() {
      const handle = yield* fs.open(checkpoints, { flag: "a", mode: 0o600 })
      yield* handle.writeAll(new TextEncoder().encode(signed.map((each) => `${encodeLine(each)}\n`).join("")))
      yield* handle.sync
    })).pipe(Effect.mapError(unavailable("Files", `${checkpoints} cannot be written`)))

  return {
    key: readKey(keyFile),
    stagedKey: readKey(nextKeyFile),
    stageKey,
    installKey,
    mendStatements,
    readStatements,
    appendStatements
  }
})
