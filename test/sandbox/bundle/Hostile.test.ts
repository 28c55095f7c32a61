import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import fs from "node:fs"
import path from "node:path"
import * as BlobStore from "../../../src/sandbox/BlobStore.ts"
import * as Bundle from "../../../src/sandbox/Bundle.ts"
import * as DiffBundle from "../../../src/sandbox/DiffBundle.ts"
import * as Handle from "../../../src/sandbox/internal/bundle/Handle.ts"
import * as Walk from "../../../src/sandbox/internal/bundle/Walk.ts"
import * as Tree from "../../../src/sandbox/Tree.ts"
import { asBundle, type Hostile, onDisk } from "./support/Corpus.ts"
import { run, snapshot, storeLayer, temporary, write } from "./support/Files.ts"
import { patches } from "./support/Patches.ts"

const secret = "SENTINEL-7d1f: nobody may read this into a bundle"

/** A bundle that is good but for what a hostile one does to it, a place outside of it, and a target. */
const prepare = Effect.map(temporary, (home) => {
  write(`${home}/outside`, { secret, "inner/file": secret })
  write(`${home}/target`, { a: "one\n" })
  const root = write(`${home}/bundle`, {
    "README.md": JSON.stringify({ outputs: { ok: true }, status: "finished" }),
    "artifacts/good": "good\n"
  })
  fs.mkdirSync(`${home}/store`)
  return { home, root, outside: `${home}/outside`, store: `${home}/store` }
})

/** Everything that the store holds. */
const stored = (directory: string): string =>
  fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "latin1"))
    .join("\n")

const refusal = (
  { make, name, rule }: Hostile,
  take: (
    root: string
  ) => Effect.Effect<unknown, { readonly _tag: string; readonly message: string }, BlobStore.BlobStore>
) =>
  Effect.scoped(Effect.gen(function*() {
    const ground = yield* prepare
    make(ground)
    const before = snapshot(ground.outside) + snapshot(`${ground.home}/target`)
    const error = yield* take(ground.root).pipe(
      Effect.provide(BlobStore.layer(ground.store)),
      Effect.flip,
      Effect.orDieWith(() => `${name} was taken`)
    )
    assert.strictEqual(error._tag, "BundleRefused", `${name}: ${error.message}`)
    assert.strictEqual((error as { readonly rule?: string }).rule, rule, `${name}: ${error.message}`)
    assert.match(error.message, /.+: .+ \([A-Za-z]+\)\.$/)
    assert.notMatch(error.message, /[\p{Cc}\p{Bidi_Control}]/u, name)
    assert.strictEqual(snapshot(ground.outside) + snapshot(`${ground.home}/target`), before, name)
    assert.notInclude(stored(ground.store), secret, name)
    return 1
  }))

it.effect("a good bundle is taken, whole", () =>
  Effect.scoped(Effect.gen(function*() {
    const { root } = yield* prepare
    write(root, { "patches/a/b.patch": "--- a\n", "logs/stream.ndjson": "{}\n" })
    write(root, {
      "README.md": JSON.stringify({
        outputs: { ok: true },
        status: "finished",
        runId: "r",
        patches: ["patches/a/b.patch"]
      })
    })
    const bundle = yield* Bundle.readResult(root)
    assert.deepStrictEqual(bundle.manifest.outputs, { ok: true })
    assert.deepStrictEqual(bundle.patches.map(({ path }) => path), ["patches/a/b.patch"])
    assert.deepStrictEqual(bundle.artifacts.map(({ bytes, path }) => [path, bytes]), [["artifacts/good", 5]])
    assert.strictEqual(bundle.log?.path, "logs/stream.ndjson")
    const store = yield* BlobStore.BlobStore
    assert.strictEqual((yield* store.get(bundle.artifacts[0]!.sha256)).toString(), "good\n")
  })).pipe(Effect.provide(storeLayer)))

it.effect("a bundle is what was written into it", () =>
  Effect.gen(function*() {
    const home = yield* temporary
    const { bytes } = yield* Bundle.writeResult(`${home}/a/b/result`, {
      outputs: [1],
      status: "finished",
      patches: ["patches/p.patch"]
    }, [
      { path: "patches/p.patch", content: Buffer.from("p") },
      { path: "artifacts/x/y", content: Buffer.from([0, 1]) }
    ])
    const bundle = yield* Bundle.readResult(`${home}/a/b/result`)
    assert.deepStrictEqual([bundle.bytes, bundle.patches.length, bundle.artifacts.length], [bytes, 1, 1])
    const request = {
      status: "pending",
      sandboxId: "s",
      provider: "p",
      runtime: "bubblewrap",
      input: { a: 1 }
    } as const
    yield* Bundle.writeRequest(`${home}/a/b/request-bundle`, request, [{
      path: "egress/hosts.json",
      content: Buffer.from("[]")
    }])
    assert.deepStrictEqual(JSON.parse(fs.readFileSync(`${home}/a/b/request-bundle/README.md`, "utf8")), request)
    const again = yield* Effect.flip(Bundle.writeRequest(`${home}/a/b/request-bundle`, request))
    assert.include(again.message, "EEXIST")
    for (const path of ["../x", "/x", "README.md/x", "a:b", "artifacts/../../x"]) {
      const error = yield* Effect.flip(
        Bundle.writeResult(`${home}/never`, { outputs: 1, status: "failed" }, [{ path, content: Buffer.from("") }])
      )
      assert.strictEqual(error._tag, "BundleRefused")
    }
    const large = yield* Effect.flip(
      Bundle.writeResult(`${home}/never`, { outputs: "x".repeat(65_537), status: "failed" })
    )
    assert.include(large.message, "65536")
    assert.isFalse(fs.existsSync(`${home}/never`))
  }).pipe(Effect.scoped, Effect.provide(storeLayer)))

it.effect(`${onDisk.length} trees that are hostile on the disk are refused as bundles, each by its rule`, () =>
  Effect.forEach(onDisk, (hostile) => refusal(hostile, Bundle.readResult), { discard: true }))

it.effect("the same are refused as what a sandbox has made of a repository", () =>
  Effect.forEach(onDisk, (hostile) => refusal(hostile, Tree.capture), { discard: true }))

it.effect(`${asBundle.length} bundles that are hostile in what they say are refused, each by its rule`, () =>
  Effect.forEach(asBundle, (hostile) => refusal(hostile, Bundle.readResult), { discard: true }))

it("the corpus has more than 200 hostile bundles", () => {
  assert.isAbove(onDisk.length + asBundle.length + patches.length, 300)
})

for (const [name, rule, patch] of patches) {
  it.effect(`a diff bundle is refused that has ${name}`, () =>
    Effect.gen(function*() {
      const home = yield* temporary
      const base = yield* Tree.record(write(`${home}/base`, { a: "one\ntwo\nthree\n", "b/c": Buffer.from([0, 1]) }))
      const bundle = yield* Schema.decodeUnknown(DiffBundle.DiffBundle)({ seq: 1, baseRef: "x", patches: [patch] })
      const error = yield* Effect.flip(DiffBundle.toChangeSet(bundle, base))
      assert.strictEqual(error._tag === "BundleRefused" ? error.rule : error.reason, rule)
    }).pipe(Effect.scoped, Effect.provide(storeLayer)))
}

it.effect("a bundle that is itself a link, a file or nothing is refused", () =>
  Effect.gen(function*() {
    const { home, root } = yield* prepare
    fs.symlinkSync(root, `${home}/link`)
    const errors = yield* Effect.forEach([`${home}/link`, `${home}/target/a`, `${home}/nothing`], (at) =>
      Effect.flip(Bundle.readResult(at)))
    assert.deepStrictEqual(
      errors.map((error) =>
        error._tag === "BundleRefused" ? error.rule : error.reason
      ),
      ["Symlink", "NotADirectory", "Io"]
    )
  }).pipe(Effect.scoped, Effect.provide(storeLayer)))

it.effect("of a directory of our own, links, devices and odd names are passed over and named, not copied", () =>
  Effect.gen(function*() {
    const { outside, root } = yield* prepare
    write(root, {
      ".git/config": "[core]\n",
      "sub/.git": "gitdir: x\n",
      "node_modules/x/y": "1",
      "build/out/z": "1",
      "aux.c": "",
      A: "1",
      a: "2"
    })
    fs.symlinkSync(outside, `${root}/link`)
    fs.linkSync(`${root}/artifacts/good`, `${root}/artifacts/same`)
    const tree = yield* Tree.record(root, { exclude: ["node_modules", "build/out"] })
    assert.deepStrictEqual(tree.files.map(({ path }) => path), ["A", "README.md", "artifacts/good", "artifacts/same"])
    assert.deepStrictEqual(tree.skipped, [{ path: "a", rule: "Case" }, { path: "aux.c", rule: "Reserved" }, {
      path: "link",
      rule: "Symlink"
    }])
  }).pipe(Effect.scoped, Effect.provide(storeLayer)))

/** What somebody does to the tree after it was scanned and before it is read. */
const meanwhile: ReadonlyArray<readonly [string, string, (root: string, outside: string) => void]> = [
  ["grows", "Changed", (root) => fs.appendFileSync(`${root}/artifacts/good`, "more")],
  ["shrinks", "Changed", (root) => fs.truncateSync(`${root}/artifacts/good`, 2)],
  ["is removed", "Changed", (root) => fs.rmSync(`${root}/artifacts/good`)],
  ["becomes another file of the same size", "Changed", (root) => {
    fs.writeFileSync(`${root}/other`, "evil\n")
    fs.renameSync(`${root}/other`, `${root}/artifacts/good`)
  }],
  ["becomes a link", "Changed", (root, outside) => {
    fs.rmSync(`${root}/artifacts/good`)
    fs.symlinkSync(`${outside}/secret`, `${root}/artifacts/good`)
  }],
  ["becomes a FIFO", "Changed", (root) => {
    fs.rmSync(`${root}/artifacts/good`)
    run("mkfifo", [`${root}/artifacts/good`])
  }],
  ["lies in a directory that becomes a link", "Symlink", (root, outside) => {
    fs.renameSync(`${root}/artifacts`, `${root}/away`)
    fs.writeFileSync(`${outside}/good`, "evil\n")
    fs.symlinkSync(outside, `${root}/artifacts`)
  }],
  ["lies in a directory that becomes a file", "NotADirectory", (root) => {
    fs.renameSync(`${root}/artifacts`, `${root}/away`)
    fs.writeFileSync(`${root}/artifacts`, "")
  }]
]

for (const [what, rule, change] of meanwhile) {
  it.effect(`a file is refused that ${what} between the look and the reading`, () =>
    Effect.gen(function*() {
      const { outside, root, store } = yield* prepare
      const error = yield* Handle.withRoot(root, (held) =>
        Effect.gen(function*() {
          const { files } = yield* Walk.scan(held, allowance)
          change(root, outside)
          return yield* Effect.flip(Walk.stageAll(held, files))
        })).pipe(Effect.provide(BlobStore.layer(store)))
      assert.strictEqual(error._tag === "BundleRefused" ? error.rule : error._tag, rule)
      assert.notInclude(stored(store), "evil")
      assert.notInclude(stored(store), secret)
    }).pipe(Effect.scoped))
}

it.effect("a file that grows while it is read is refused, and no more of it is read than it had", () =>
  Effect.gen(function*() {
    const { root } = yield* prepare
    const file = `${root}/artifacts/good`
    let bytes = 0
    const error = yield* Handle.withRoot(
      root,
      (held) =>
        Handle.withPath(
          held,
          "artifacts/good",
          (found) =>
            Effect.flip(Handle.readChunks(found as Handle.Held, (chunk) =>
              Effect.sync(() => {
                bytes += chunk.length
                fs.appendFileSync(file, "for ever and ever")
              })))
        )
    )
    assert.strictEqual(error._tag === "BundleRefused" ? error.rule : error._tag, "Changed")
    assert.strictEqual(bytes, 5)
  }).pipe(Effect.scoped))

const allowance: Walk.Allowance = {
  files: 10,
  directories: 10,
  totalBytes: 1_000,
  fileBytes: 1_000,
  trust: "hostile",
  isExcluded: () => false
}
