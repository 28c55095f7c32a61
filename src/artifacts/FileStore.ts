import { Effect, Layer, type Scope, Stream } from "effect"
import { createHash } from "node:crypto"
import { ArtifactFailed } from "./ArtifactError.ts"
import { type ArtifactKey, checkContent, checkKey, checkPage, type Owner } from "./ArtifactKey.ts"
import { ArtifactsConfig } from "./ArtifactsConfig.ts"
import { ArtifactStore, type Listed, type PutOptions } from "./ArtifactStore.ts"
import * as Content from "./internal/Content.ts"
import * as Draft from "./internal/Draft.ts"
import * as Folder from "./internal/Folder.ts"

/** Contents and, in the same places below, their hashes: in the home. */
const contents = "artifacts"
const hashes = "artifact-hashes"

/** Directories from the operator's runs on; ids of runs begin with no `@`. */
const folderOf = ({ runId, tenant }: Owner): ReadonlyArray<string> =>
  tenant === null ? [runId] : [`@${tenant.orgId}`, runId]

const digest = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex")

/** Hashes that are kept while it is not certain which content is in place: of as many puts that the process died in. */
const maxHashes = 8
const recordBytes = maxHashes * 65

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** A name as it is compared: what lies in a directory comes where the slash puts it. */
const sortName = (entry: { readonly name: string; readonly isDirectory: () => boolean }): string =>
  entry.isDirectory() ? `${entry.name}/` : entry.name

const obstacles: Readonly<Record<string, string>> = {
  ELOOP: "a link is in its place, and none is followed",
  ENOTDIR: "a file or a link is in the place of a folder on its path",
  EISDIR: "a folder is in its place",
  EACCES: "the service may not use its folder",
  EPERM: "the service may not use its folder",
  EROFS: "its file system can only be read"
}

const make = Effect.fnUntraced(function*(home: string) {
  const { maxBytes } = yield* ArtifactsConfig
  /** One change at a time, and no look between a content and its hash. */
  const turn = yield* Effect.makeSemaphore(1)
  yield* Draft.discardLeftDrafts(home)

  const pathOf = (key: ArtifactKey): string => [contents, ...folderOf(key), key.name].join("/")
  const locationOf = (key: ArtifactKey): string => `${home}/${pathOf(key)}`

  const partsOf = (key: ArtifactKey) => {
    const parts = [...folderOf(key), ...key.name.split("/")]
    return { above: parts.slice(0, -1), last: parts.at(-1)! }
  }

  const fail = (key: ArtifactKey, reason: ArtifactFailed["reason"], detail: string) =>
    new ArtifactFailed({ reason, place: locationOf(key), detail })

  const missing = (key: ArtifactKey) => fail(key, "NotFound", "there is none")

  const faultOf = (key: ArtifactKey) => ({ code }: Folder.Errno) =>
    code === "ENOENT"
      ? missing(key)
      : fail(
        key,
        code in obstacles ? "Refused" : "Unavailable",
        obstacles[code] ?? `${code} from the operating system`
      )

  const faults = (key: ArtifactKey) => <A, E, R>(effect: Effect.Effect<A, E | Folder.Errno, R>) =>
    Effect.catchIf(
      effect,
      (error): error is Extract<E | Folder.Errno, Folder.Errno> => error instanceof Folder.Errno,
      faultOf(key)
    )

  /** The hashes that the content may have: one, more after a process died within a put, none when nobody recorded any. */
  const recorded = (above: ReadonlyArray<string>, last: string) =>
    Effect.gen(function*() {
      const folder = yield* Folder.descend(`${home}/${hashes}`, above)
      const { file } = yield* Folder.openFile(folder, last)
      const text = (yield* Folder.read(file, recordBytes)).toString("latin1")
      return text.split("\n").filter((line) => /^[0-9a-f]{64}$/.test(line))
    }).pipe(Folder.ignoring("ENOENT"), Effect.map((found) => found ?? []), Effect.scoped)

  const record = (folder: Folder.Folder, last: string, sums: ReadonlyArray<string>) =>
    Folder.replace(folder, last, Buffer.from(sums.map((sum) => `${sum}\n`).join("")))

  /** The open content and its hashes, of one moment. */
  const opened = (key: ArtifactKey) =>
    turn.withPermits(1)(Effect.gen(function*() {
      const { above, last } = partsOf(key)
      const folder = yield* Folder.descend(`${home}/${contents}`, above)
      return { ...(yield* Folder.openFile(folder, last)), sums: yield* recorded(above, last) }
    }))

  type Open = Effect.Effect.Success<ReturnType<typeof opened>>

  const altered = (key: ArtifactKey, { sums }: Pick<Open, "sums">) =>
    fail(key, "Altered", sums.length === 0 ? "no hash of it is recorded" : "the content is another")

  const checkBytes = (key: ArtifactKey, { bytes }: Open) =>
    bytes <= maxBytes
      ? Effect.void
      : fail(key, "Refused", `it has ${bytes} bytes, at most ${maxBytes} (SMITHERS_ARTIFACTS_MAX_BYTES)`)

  /** The hash that was recorded: of several the one that the content has. */
  const hashOf = (key: ArtifactKey, found: Open) =>
    Effect.gen(function*() {
      const [sha256, ...others] = found.sums
      if (sha256 !== undefined && others.length === 0) return sha256
      yield* checkBytes(key, found)
      const actual = yield* Content.digest(Content.ofFile(found.file, found.bytes))
      return found.sums.includes(actual) ? actual : yield* altered(key, found)
    })

  const exists = (key: ArtifactKey) => fail(key, "Exists", "there is one already")

  /** Gives a draft its place. Whichever of the contents is there when the process dies, its hash is known. */
  const place = (key: ArtifactKey, draft: Draft.Draft, ifAbsent: boolean) => {
    const { above, last } = partsOf(key)
    const { folder, name, sha256 } = draft
    return turn.withPermits(1)(Effect.uninterruptible(Effect.scoped(Effect.gen(function*() {
      const files = yield* Folder.establish(`${home}/${contents}`, above)
      const sums = yield* Folder.establish(`${home}/${hashes}`, above)
      if (ifAbsent && (yield* Folder.isTaken(files, last))) return yield* exists(key)
      const before = yield* recorded(above, last)
      yield* record(sums, last, [sha256, ...before.filter((sum) => sum !== sha256).slice(0, maxHashes - 1)])
      yield* (ifAbsent ? Folder.link : Folder.move)(folder, name, files, last)
      yield* record(sums, last, [sha256])
    })))).pipe(
      // Of a program beside the service: its hash is the one that is missing now, so both stay recorded.
      Effect.catchIf((error) => error instanceof Folder.Errno && error.code === "EEXIST", () => exists(key)),
      faults(key)
    )
  }

  const putStream = Effect.fn("ArtifactStore.putStream")(function*<E, R>(
    key: ArtifactKey,
    content: Stream.Stream<Uint8Array, E, R>,
    { ifAbsent = false }: PutOptions = {}
  ) {
    yield* checkKey(key)
    if (ifAbsent) {
      // What is in vain is not even read.
      const { above, last } = partsOf(key)
      const folder = Folder.descend(`${home}/${contents}`, above)
      const taken = Effect.scoped(Effect.flatMap(folder, (folder) => Folder.isTaken(folder, last)))
      if (yield* taken.pipe(Folder.ignoring("ENOENT"), faults(key))) return yield* exists(key)
    }
    const draft = yield* Draft.write(home, content, maxBytes, faultOf(key))
    yield* place(key, draft, ifAbsent)
    return { name: key.name, bytes: draft.bytes, sha256: draft.sha256, location: locationOf(key) }
  }, Effect.scoped)

  const put: ArtifactStore["Type"]["put"] = Effect.fn("ArtifactStore.put")(function*(key, content, options) {
    yield* Effect.zipRight(checkKey(key), checkContent(content, maxBytes))
    return yield* putStream(key, Stream.make(content), options)
  })

  const get: ArtifactStore["Type"]["get"] = Effect.fn("ArtifactStore.get")(function*(key) {
    yield* checkKey(key)
    return yield* Effect.gen(function*() {
      const found = yield* opened(key)
      yield* checkBytes(key, found)
      const content = yield* Folder.read(found.file, found.bytes)
      const sha256 = digest(content)
      if (!found.sums.includes(sha256)) return yield* altered(key, found)
      return { name: key.name, bytes: found.bytes, sha256, location: locationOf(key), content }
    }).pipe(Effect.scoped, faults(key))
  })

  const getStream: ArtifactStore["Type"]["getStream"] = Effect.fn("ArtifactStore.getStream")(function*(key) {
    yield* checkKey(key)
    return yield* Effect.gen(function*() {
      const found = yield* opened(key)
      const { bytes, file } = found
      yield* checkBytes(key, found)
      const sha256 = yield* hashOf(key, found)
      const content = Content.ofFile(file, bytes).pipe(
        Stream.mapError(faultOf(key))
      )
      return {
        name: key.name,
        bytes,
        sha256,
        location: locationOf(key),
        content: Content.compared(content, sha256, altered(key, found))
      }
    }).pipe(faults(key))
  })

  const stat: ArtifactStore["Type"]["stat"] = Effect.fn("ArtifactStore.stat")(function*(key) {
    yield* checkKey(key)
    return yield* Effect.gen(function*() {
      const found = yield* opened(key)
      const sha256 = yield* hashOf(key, found)
      return { name: key.name, bytes: found.bytes, sha256, location: locationOf(key) }
    }).pipe(Effect.scoped, faults(key))
  })

  /** Files below a folder in order, until there are `limit`. */
  const walk = (
    folder: Folder.Folder,
    base: string,
    after: string,
    limit: number
  ): Effect.Effect<ReadonlyArray<Listed>, Folder.Errno, Scope.Scope> =>
    Effect.gen(function*() {
      const found: Array<Listed> = []
      const all = (yield* Folder.entries(folder)).sort((a, b) => compare(sortName(a), sortName(b)))
      for (const entry of all) {
        if (found.length >= limit) break
        const name = `${base}${entry.name}`
        if (entry.isDirectory()) {
          // All below come before `after`, unless it lies there too.
          if (compare(`${name}/`, after) < 0 && !after.startsWith(`${name}/`)) continue
          const below = Effect.flatMap(
            Folder.enter(folder, entry.name),
            (inner) => walk(inner, `${name}/`, after, limit - found.length)
          )
          found.push(...(yield* Folder.ignoring("ENOENT", "ENOTDIR")(Effect.scoped(below))) ?? [])
        } else if (entry.isFile() && compare(name, after) > 0) {
          const file = yield* Folder.ignoring("ENOENT", "ELOOP")(Effect.scoped(Folder.openFile(folder, entry.name)))
          if (file !== undefined) found.push({ name, bytes: file.bytes })
        }
      }
      return found
    })

  const list: ArtifactStore["Type"]["list"] = Effect.fn("ArtifactStore.list")(function*(owner, page = {}) {
    const { after, limit } = yield* checkPage(owner, page)
    const found = Effect.flatMap(
      Folder.descend(`${home}/${contents}`, folderOf(owner)),
      (folder) => walk(folder, "", after, limit)
    )
    return (yield* found.pipe(Effect.scoped, Folder.ignoring("ENOENT"), faults({ ...owner, name: "" }))) ?? []
  })

  /** Removes folders that were only there for what was removed; that of the run stays. */
  const tidy = (root: string, owner: Owner, above: ReadonlyArray<string>) =>
    Effect.forEach(
      above.slice(folderOf(owner).length).map((_, index) => above.slice(0, above.length - index)),
      (parts) =>
        Effect.scoped(Effect.flatMap(
          Folder.descend(root, parts.slice(0, -1)),
          (parent) => Folder.removeFolder(parent, parts.at(-1)!)
        )),
      { discard: true }
    )

  const remove: ArtifactStore["Type"]["remove"] = Effect.fn("ArtifactStore.remove")(function*(key) {
    yield* checkKey(key)
    const { above, last } = partsOf(key)
    yield* Effect.forEach([contents, hashes], (tree) =>
      Effect.scoped(Effect.flatMap(
        Folder.descend(`${home}/${tree}`, above),
        (folder) => Folder.removeFile(folder, last)
      )).pipe(
        Effect.zipRight(tidy(`${home}/${tree}`, key, above)),
        Folder.ignoring("ENOENT")
      ), { discard: true }).pipe(turn.withPermits(1), faults(key))
  })

  const removeAll: ArtifactStore["Type"]["removeAll"] = Effect.fn("ArtifactStore.removeAll")(function*(owner) {
    yield* checkPage(owner, {})
    const above = folderOf(owner)
    // Contents first: a hash without one is nobody's.
    const [removed] = yield* Effect.forEach([contents, hashes] as const, (tree) =>
      Effect.scoped(Effect.flatMap(
        Folder.descend(`${home}/${tree}`, above.slice(0, -1)),
        (folder) => Folder.removeTree(folder, above.at(-1)!)
      )).pipe(
        Folder.ignoring("ENOENT"),
        faults({ ...owner, name: "" })
      ))
    return removed ?? 0
  })

  return ArtifactStore.of({
    put,
    putStream,
    get,
    getStream,
    stat,
    list,
    remove,
    removeAll,
    place: (key) => Effect.as(checkKey(key), `<SMITHERS_HOME>/${pathOf(key)}`)
  })
})

/**
 * Files in `<home>/artifacts/<run>/<name>`, or `…/artifacts/@<org>/<run>/<name>`, readable for their owner only, their
 * hashes below `<home>/artifact-hashes`. Written in `<home>/artifact-drafts`, flushed and then named. Links are not followed. A name cannot
 * be an artifact and the folder of another one (`Refused`).
 */
export const layer = (home: string) => Layer.effect(ArtifactStore, make(home))
