import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import fs from "node:fs"
import path from "node:path"
import * as BlobStore from "../../../src/sandbox/BlobStore.ts"
import * as Bundle from "../../../src/sandbox/Bundle.ts"
import * as ChangeApply from "../../../src/sandbox/ChangeApply.ts"
import * as ChangeSet from "../../../src/sandbox/ChangeSet.ts"
import * as Review from "../../../src/sandbox/Review.ts"
import * as Tree from "../../../src/sandbox/Tree.ts"
import { startChild } from "../../support/Child.ts"
import { decision } from "./support/Changes.ts"
import { read, snapshot, temporary, write } from "./support/Files.ts"

const good = "good\n"
const secret = "SENTINEL-22c8: nobody may read this"

/** A tree at `<home>/<at>` in which a process swaps `<inner>/victim` and `<inner>/dir`, and what lies outside of it. */
const attacked = Effect.fnUntraced(function*(at: string, inner: string) {
  const home = yield* temporary
  const tree = write(`${home}/${at}`, { [path.join(inner, "victim")]: good, [path.join(inner, "dir/secret")]: good })
  const outside = write(`${home}/outside`, { secret, "inner/file": secret })
  fs.mkdirSync(`${home}/own`)
  return { home, tree, outside, store: `${home}/blobs`, sentinel: snapshot(outside), swapped: path.join(tree, inner) }
})

/** Starts the swapping; it ends with the scope. */
const swap = Effect.fnUntraced(
  function*({ home, outside, swapped }: Effect.Effect.Success<ReturnType<typeof attacked>>) {
    const { lines } = yield* startChild("test/sandbox/bundle/programs/swap.ts", swapped, outside, `${home}/own`, good)
    yield* Stream.runHead(lines)
  }
)

const isClean = (store: string): boolean =>
  ![...read(store).values()].some((line) => Buffer.from(line.slice(2), "base64").includes("SENTINEL"))

layer(NodeContext.layer, { excludeTestServices: true })("Race", (it) => {
  it.scoped("who looks first and reads then is led outside: the attack is real", () =>
    Effect.gen(function*() {
      const ground = yield* attacked("tree", "")
      yield* swap(ground)
      const isLed = Effect.sync(() => {
        for (let turn = 0; turn < 1_000; turn++) {
          try {
            const victim = `${ground.tree}/victim`
            if (fs.lstatSync(victim).isFile() && fs.readFileSync(victim, "utf8") === secret) return true
          } catch {
            // Neither the one nor the other was there.
          }
        }
        return false
      })
      let led = false
      for (let turn = 0; turn < 1_000 && !led; turn++) led = yield* isLed
      assert.isTrue(led)
    }))

  it.scoped("in 9,000 validations of a bundle that changes under them nothing from outside is ever read", () =>
    Effect.gen(function*() {
      const ground = yield* attacked("bundle", "artifacts")
      write(ground.tree, { "README.md": JSON.stringify({ outputs: {}, status: "finished" }) })
      const counts = { taken: 0, refused: 0 }
      yield* Effect.gen(function*() {
        const { sha256 } = yield* Effect.flatMap(BlobStore.BlobStore, (store) => store.put(Buffer.from(good)))
        yield* swap(ground)
        for (let turn = 0; turn < 9_000; turn++) {
          const result = yield* Effect.either(Bundle.readResult(ground.tree))
          if (result._tag === "Right") {
            counts.taken++
            for (const artifact of result.right.artifacts) {
              assert.include(["artifacts/victim", "artifacts/dir/secret"], artifact.path)
              assert.strictEqual(artifact.sha256, sha256)
            }
          } else {
            counts.refused++
            const error = result.left
            assert.include(
              ["Symlink", "Changed", "NotADirectory"],
              error._tag === "BundleRefused" ? error.rule : error.message
            )
          }
        }
      }).pipe(Effect.provide(BlobStore.layer(ground.store)))
      assert.isAbove(counts.refused, 100)
      assert.isAbove(counts.taken, 0)
      assert.isTrue(isClean(ground.store))
      assert.strictEqual(snapshot(ground.outside), ground.sentinel)
    }))

  it.scoped("in 1,000 applications to a target that changes under them nothing outside is ever touched", () =>
    Effect.gen(function*() {
      const ground = yield* attacked("target", "")
      const staging = `${ground.home}/.target.smithers-apply`
      const counts = { applied: 0, refused: 0 }
      yield* Effect.gen(function*() {
        const changes = yield* ChangeSet.between(
          yield* Tree.record(ground.tree),
          yield* Tree.capture(
            write(`${ground.home}/produced`, { victim: "changed\n", "dir/secret": "changed\n", "dir/new": "new\n" })
          )
        )
        const selection = yield* Review.select(changes, decision(changes, "all"))
        yield* swap(ground)
        for (let turn = 0; turn < 1_000; turn++) {
          const result = yield* Effect.either(ChangeApply.apply(ground.tree, selection))
          if (result._tag === "Right") counts.applied++
          else {
            counts.refused++
            const error = result.left
            assert.include(
              ["Symlink", "NotADirectory", "Changed", "Stale", "RecoveryBlocked", "Io"],
              error._tag === "BundleRefused" ? error.rule : error.reason,
              error.message
            )
          }
          // What the other process has made impossible to undo is thrown away, and the old content put back.
          fs.rmSync(staging, { recursive: true, force: true })
          for (const name of ["dir/new", "dir/secret"]) {
            for (const directory of [ground.tree, `${ground.home}/own`]) {
              const at = path.join(directory, name.replace("dir", directory === ground.tree ? "dir" : "parked"))
              try {
                const held = fs.openSync(path.dirname(at), fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW)
                const inner = `/proc/self/fd/${held}/${path.basename(at)}`
                fs.rmSync(inner, { force: true })
                if (name === "dir/secret") fs.writeFileSync(inner, good, { flag: "wx" })
                fs.closeSync(held)
              } catch {
                // It is somewhere else at the moment.
              }
            }
          }
          if (turn % 100 === 0) assert.strictEqual(snapshot(ground.outside), ground.sentinel)
        }
      }).pipe(Effect.provide(BlobStore.layer(ground.store)))
      assert.strictEqual(counts.applied + counts.refused, 1_000)
      assert.isAbove(counts.refused, 0)
      assert.isTrue(isClean(ground.store))
      assert.strictEqual(snapshot(ground.outside), ground.sentinel)
    }))
})
