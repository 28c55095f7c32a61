import { assert, it } from "@effect/vitest"
import { Deferred, Effect, FastCheck, Fiber } from "effect"
import fs from "node:fs"
import { systemActor } from "../../../src/model/index.ts"
import type * as Change from "../../../src/sandbox/Change.ts"
import * as ChangeApply from "../../../src/sandbox/ChangeApply.ts"
import { ChangeRefused } from "../../../src/sandbox/ChangeRefused.ts"
import * as ChangeSet from "../../../src/sandbox/ChangeSet.ts"
import { AfterStep } from "../../../src/sandbox/internal/bundle/AfterStep.ts"
import { applyHunks } from "../../../src/sandbox/internal/bundle/Text.ts"
import * as Review from "../../../src/sandbox/Review.ts"
import * as Tree from "../../../src/sandbox/Tree.ts"
import { decision } from "./support/Changes.ts"
import { type Files, read, snapshot, storeLayer, temporary, write } from "./support/Files.ts"

const numbered = (changed: Readonly<Record<number, string>> = {}, end = "\n") =>
  Array.from({ length: 60 }, (_, line) => changed[line] ?? `line ${line}`).join("\n") + end

const before: Files = { a: numbered(), b: "b\n", c: "c\n", "d/e": "e\n" }
const after: Files = {
  a: numbered({ 5: "FIVE", 30: "THIRTY\r", 55: "FIFTY-FIVE" }, ""),
  b: { content: "B\n" },
  "d/f": "f\n",
  "d/e": "e\n"
}

const prepare = Effect.fnUntraced(function*(from: Files = before, to: Files = after) {
  const home = yield* temporary
  const target = write(`${home}/target`, from)
  const changes = yield* ChangeSet.between(
    yield* Tree.record(target),
    yield* Tree.capture(write(`${home}/produced`, to))
  )
  const outcome = (accept: Review.Decision["accept"]) =>
    Effect.flatMap(
      Review.select(changes, decision(changes, accept)),
      (selection) => ChangeApply.apply(target, selection)
    )
  return { home, target, changes, outcome, text: (name: string) => fs.readFileSync(`${target}/${name}`, "utf8") }
})

const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly _tag: string }, R>) =>
  Effect.map(
    Effect.flip(effect),
    (error) => `${error._tag} ${"reason" in error ? String(error.reason) : "rule" in error ? String(error.rule) : ""}`
  )

/** The refusal of a decision that cannot be carried out. */
const refusalOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.flip(effect),
    (error) => error instanceof ChangeRefused ? Effect.succeed(error) : Effect.dieMessage(String(error))
  )

it.scoped("accepted as a whole, everything is applied; rejected, nothing is", () =>
  Effect.gen(function*() {
    const { home, outcome, target } = yield* prepare()
    const old = snapshot(target)
    assert.deepStrictEqual(yield* outcome("none"), { outcome: "already", files: 0 })
    assert.deepStrictEqual(yield* outcome([]), { outcome: "already", files: 0 })
    assert.strictEqual(snapshot(target), old)
    assert.strictEqual((yield* outcome("all")).outcome, "applied")
    assert.deepStrictEqual(read(target), read(`${home}/produced`))
    assert.deepStrictEqual(yield* outcome("all"), { outcome: "already", files: 0 })
  }).pipe(Effect.provide(storeLayer)))

it.scoped("files are accepted one by one; what is not named is rejected", () =>
  Effect.gen(function*() {
    const { changes, outcome, target } = yield* prepare()
    assert.deepStrictEqual(changes.changes.map(({ operation, path }) => `${operation} ${path}`), [
      "modify a",
      "modify b",
      "delete c",
      "add d/f"
    ])
    yield* outcome([{ path: "b", accept: true }, { path: "c", accept: true }, { path: "d/f", accept: false }])
    assert.deepStrictEqual([...read(target).keys()], ["a", "b", "d/e"])
    assert.isTrue(read(target).get("b")?.startsWith("x "))
    assert.strictEqual(fs.readFileSync(`${target}/a`, "utf8"), numbered())
  }).pipe(Effect.provide(storeLayer)))

for (
  const [hunks, changed, end] of [
    [[1], { 5: "FIVE" }, "\n"],
    [[2], { 30: "THIRTY\r" }, "\n"],
    [[3], { 55: "FIFTY-FIVE" }, ""],
    [[1, 3], { 5: "FIVE", 55: "FIFTY-FIVE" }, ""],
    [[3, 2], { 30: "THIRTY\r", 55: "FIFTY-FIVE" }, ""]
  ] as const
) {
  it.scoped(`of a file only hunk ${hunks.join(" and ")} is accepted`, () =>
    Effect.gen(function*() {
      const { changes, outcome, text } = yield* prepare()
      assert.strictEqual(changes.changes[0]?.hunks.length, 3)
      yield* outcome([{ path: "a", accept: true, hunks }])
      assert.strictEqual(text("a"), numbered(changed, end))
      assert.strictEqual(text("b"), "b\n")
    }).pipe(Effect.provide(storeLayer)))
}

it.scoped("whatever hunks are chosen, exactly their lines change", () =>
  Effect.gen(function*() {
    const { changes, text } = yield* prepare()
    const { hunks } = changes.changes[0]!
    const base = text("a")
    FastCheck.assert(
      FastCheck.property(FastCheck.subarray([...hunks]), (chosen) => {
        const lines: Record<number, string> = {}
        for (const { number } of chosen) {
          Object.assign(lines, [{ 5: "FIVE" }, { 30: "THIRTY\r" }, { 55: "FIFTY-FIVE" }][number - 1])
        }
        const applied = applyHunks(base, chosen)
        return applied._tag === "Right" && applied.right === numbered(
              lines,
              chosen.some(({ number }) => number === 3)
                ? ""
                : "\n"
            )
      }),
      { seed: 5 }
    )
  }).pipe(Effect.provide(storeLayer)))

it.scoped("a decision that does not fit the change set is refused, and says why", () =>
  Effect.gen(function*() {
    const { changes, outcome, target } = yield* prepare()
    const old = snapshot(target)
    const reasons = yield* Effect.forEach([
      [{ path: "z", accept: true }],
      [{ path: "b", accept: true }, { path: "b", accept: false }],
      [{ path: "a", accept: true, hunks: [4] }],
      [{ path: "a", accept: true, hunks: [1, 1] }],
      [{ path: "a", accept: false, hunks: [1] }],
      [{ path: "d/f", accept: true, hunks: [1] }],
      [{ path: "c", accept: true, hunks: [1] }]
    ], (accept) => reasonOf(outcome(accept)))
    assert.deepStrictEqual(reasons, [
      "ChangeRefused UnknownPath",
      "ChangeRefused UnknownPath",
      "ChangeRefused UnknownHunk",
      "ChangeRefused UnknownHunk",
      "ChangeRefused UnknownHunk",
      "ChangeRefused NoHunks",
      "ChangeRefused NoHunks"
    ])
    const other = { changeSet: "0".repeat(64), accept: "all", note: "looks good", actor: systemActor } as const
    assert.strictEqual(yield* reasonOf(Review.select(changes, other)), "ChangeRefused OtherChangeSet")
    assert.strictEqual(snapshot(target), old)
  }).pipe(Effect.provide(storeLayer)))

it.scoped("an accepted file that needs the place of one whose removal is rejected is a conflict", () =>
  Effect.gen(function*() {
    const { outcome } = yield* prepare({ a: "1\n" }, { "a/b": "unlike\n" })
    assert.strictEqual(yield* reasonOf(outcome([{ path: "a/b", accept: true }])), "ChangeRefused Conflict")
  }).pipe(Effect.provide(storeLayer)))

const moves: ReadonlyArray<readonly [string, (target: string) => void, string | null]> = [
  ["the file was edited", (target) => fs.writeFileSync(`${target}/b`, "mine\n"), "mine\n"],
  ["the file was removed", (target) => fs.rmSync(`${target}/b`), null],
  ["the file was made executable", (target) => fs.chmodSync(`${target}/b`, 0o755), "b\n"],
  ["a file was put where one is added", (target) => fs.writeFileSync(`${target}/d/f`, "mine\n"), "mine\n"],
  ["a directory was put where one is added", (target) => fs.mkdirSync(`${target}/d/f`), null],
  ["a file that is deleted was edited", (target) => fs.writeFileSync(`${target}/c`, "mine\n"), "mine\n"]
]

for (const [what, move, current] of moves) {
  it.scoped(`a base that moved is refused as stale with the three versions, and nothing is applied: ${what}`, () =>
    Effect.gen(function*() {
      const { changes, outcome, target } = yield* prepare()
      move(target)
      const old = snapshot(target)
      const error = yield* refusalOf(outcome("all"))
      assert.strictEqual(error.reason, "Stale")
      const [version] = error.versions
      const change = changes.changes.find(({ path }) => path === version?.path) as Change.Change
      assert.deepStrictEqual([version?.base, version?.produced], [change.base, change.produced])
      assert.strictEqual(version?.texts.current, current)
      assert.strictEqual(version?.texts.base, change.base === null ? null : `${change.path}\n`)
      assert.strictEqual(snapshot(target), old)
    }).pipe(Effect.provide(storeLayer)))
}

it.scoped("what else lies in the target stays as it is", () =>
  Effect.gen(function*() {
    const { home, outcome, target } = yield* prepare({ ...before, "x/y": "1\n" }, { ...after, "n/n": "n\n" })
    write(target, { "mine/one": "1", ".git/HEAD": "ref\n", "x/ignored": "1" })
    fs.symlinkSync("/etc/passwd", `${target}/link`)
    fs.chmodSync(`${target}/b`, 0o640)
    const owner = process.getuid?.() === 0 ? 1_234 : process.getuid?.() ?? 0
    fs.chownSync(target, owner, owner)
    fs.chownSync(`${target}/b`, owner, owner)
    yield* outcome("all")
    assert.deepStrictEqual(
      [...read(`${home}/produced`).keys(), ".git/HEAD", "mine/one", "x/ignored"].sort(),
      [...read(target).keys()].filter((name) => name !== "link").sort()
    )
    assert.strictEqual(fs.statSync(`${target}/b`).mode & 0o7777, 0o750, "permissions are kept but for execution")
    assert.strictEqual(fs.statSync(`${target}/d/f`).nlink, 1)
    assert.deepStrictEqual(
      ["b", "d/f", "n", "n/n"].map((name) => fs.statSync(`${target}/${name}`).uid),
      Array(4).fill(owner)
    )
  }).pipe(Effect.provide(storeLayer)))

const links: ReadonlyArray<readonly [string, (target: string, outside: string) => void, string]> = [
  ["a directory on the way", (target, outside) => {
    fs.rmSync(`${target}/d`, { recursive: true })
    fs.symlinkSync(outside, `${target}/d`)
  }, "BundleRefused Symlink"],
  ["the file itself", (target, outside) => {
    fs.rmSync(`${target}/b`)
    fs.symlinkSync(`${outside}/b`, `${target}/b`)
  }, "BundleRefused Symlink"],
  [
    "a link to nothing where a file is added",
    (target) => fs.symlinkSync("/nowhere/x", `${target}/d/f`),
    "BundleRefused Symlink"
  ],
  ["the target", (target) => {
    fs.renameSync(target, `${target}.real`)
    fs.symlinkSync(`${target}.real`, target)
  }, "BundleRefused Symlink"],
  ["a file on the way", (target) => {
    fs.rmSync(`${target}/d`, { recursive: true })
    fs.writeFileSync(`${target}/d`, "")
  }, "BundleRefused NotADirectory"]
]

for (const [what, make, reason] of links) {
  it.scoped(`a link in the target is never followed: ${what}`, () =>
    Effect.gen(function*() {
      const { home, outcome, target } = yield* prepare()
      const outside = write(`${home}/outside`, { b: "b\n", e: "e\n" })
      make(target, outside)
      const old = snapshot(home)
      assert.strictEqual(yield* reasonOf(outcome("all")), reason)
      assert.strictEqual(snapshot(home), old)
    }).pipe(Effect.provide(storeLayer)))
}

it.scoped("a directory with other files in it does not give way to a file, and everything is undone", () =>
  Effect.gen(function*() {
    const { home, outcome, target } = yield* prepare({ "a/b": "1\n", c: "c\n" }, { a: "file\n", c: "C\n" })
    write(target, { "a/ignored": "mine" })
    const old = snapshot(home)
    assert.strictEqual(yield* reasonOf(outcome("all")), "ChangeRefused Stale")
    assert.strictEqual(snapshot(home), old)
  }).pipe(Effect.provide(storeLayer)))

it.scoped("a file that changes after it was checked undoes everything, and the change of the other is kept", () =>
  Effect.gen(function*() {
    const { outcome, target, text } = yield* prepare()
    const meddle = (step: string) =>
      Effect.sync(() => {
        if (step === "Displace a") fs.writeFileSync(`${target}/b`, "somebody else\n")
      })
    const error = yield* refusalOf(Effect.provideService(outcome("all"), AfterStep, meddle))
    assert.strictEqual(error.reason, "Stale")
    assert.strictEqual(text("b"), "somebody else\n")
    assert.strictEqual(text("a"), numbered())
    assert.isFalse(fs.existsSync(`${target}/d/f`))
  }).pipe(Effect.provide(storeLayer)))

it.scoped("a file that appears where an old one has to go back is kept, and so is the old one", () =>
  Effect.gen(function*() {
    const { home, outcome, target, text } = yield* prepare()
    const meddle = (step: string) =>
      Effect.sync(() => {
        if (step === "Displace b") fs.writeFileSync(`${target}/b`, "somebody else\n")
      })
    const error = yield* refusalOf(Effect.provideService(outcome("all"), AfterStep, meddle))
    assert.strictEqual(error.reason, "RecoveryBlocked")
    assert.strictEqual(error.path, "b")
    assert.strictEqual(text("b"), "somebody else\n")
    assert.strictEqual(yield* reasonOf(outcome("all")), "ChangeRefused Busy")
    assert.strictEqual(yield* reasonOf(ChangeApply.recover(target)), "ChangeRefused RecoveryBlocked")
    fs.renameSync(`${target}/b`, `${home}/b.mine`)
    assert.strictEqual(yield* ChangeApply.recover(target), "undone")
    assert.deepStrictEqual(read(target), read(write(`${home}/again`, before)))
  }).pipe(Effect.provide(storeLayer)))

it.scoped("of two applications at once one is done and the other is told so", () =>
  Effect.gen(function*() {
    const { home, outcome, target } = yield* prepare()
    const results = yield* Effect.all([Effect.either(outcome("all")), Effect.either(outcome("all"))], {
      concurrency: 2
    })
    const told = results.map((result) =>
      result._tag === "Right"
        ? result.right.outcome
        : result.left._tag === "ChangeRefused"
        ? result.left.reason
        : result.left._tag
    )
    assert.include(told, "applied")
    assert.include(["Busy", "Stale", "already"], told.find((one) => one !== "applied"))
    assert.deepStrictEqual(read(target), read(`${home}/produced`))
  }).pipe(Effect.provide(storeLayer)))

it.scoped("an application that is interrupted is whole or not begun", () =>
  Effect.gen(function*() {
    const { home, outcome, target } = yield* prepare()
    for (const at of ["staging", "staged", "intent", "Displace a", "Place a"]) {
      const old = read(target)
      const reached = yield* Deferred.make<void>()
      const hook = (step: string) => step === at ? Deferred.succeed(reached, undefined) : Effect.succeed(false)
      const fiber = yield* Effect.fork(
        Effect.provideService(outcome("all"), AfterStep, (step) => Effect.asVoid(hook(step)))
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      const now = read(target)
      assert.isTrue(
        [old, read(`${home}/produced`)].some((state) => JSON.stringify([...state]) === JSON.stringify([...now]))
      )
      assert.isFalse(fs.existsSync(`${home}/.target.smithers-apply`))
      fs.rmSync(target, { recursive: true })
      write(target, before)
    }
  }).pipe(Effect.provide(storeLayer)))

it.scoped("a target that is no directory in another one is refused", () =>
  Effect.gen(function*() {
    const { changes, home } = yield* prepare()
    const selection = yield* Review.select(changes, decision(changes, "all"))
    const reasons = yield* Effect.forEach(["/", "relative", `${home}/nothing`, `${home}/..`], (target) =>
      reasonOf(ChangeApply.apply(target, selection)))
    assert.deepStrictEqual(reasons, Array(4).fill("ChangeRefused Target"))
  }).pipe(Effect.provide(storeLayer)))
