import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope, Stream, TestClock } from "effect"
import { ArtifactFailed, ArtifactStore, type Owner, Removals, RunArtifacts } from "../../src/artifacts/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { makeHome, persistenceAt, turn } from "../support/Home.ts"
import { makeServer } from "./support/S3Server.ts"
import { filesAt, s3At, settingsOf } from "./support/Stores.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

const mine = { tenant: null, runId: "run-1" }
const acme = { tenant: { orgId: "acme", projectId: "web" }, runId: "acme.1" }
const other = { tenant: null, runId: "run-2" }

/** The store of runs on a home, and their artifacts in a store. */
const serviceAt = <E>(home: string, store: Layer.Layer<ArtifactStore.ArtifactStore, E>) =>
  RunArtifacts.layer.pipe(
    Layer.provide(store),
    Layer.provideMerge(RunStore.layer),
    Layer.provideMerge(Removals.layer),
    Layer.provideMerge(persistenceAt(home, "normal")),
    Layer.provide(NodeContext.layer)
  )

const launch = ({ runId, tenant }: Owner) =>
  Effect.gen(function*() {
    const { write } = yield* Persistence.Persistence
    const runs = yield* RunStore.RunStore
    yield* write(runs.insert({
      runId,
      tenant,
      workflow: "w",
      parentRunId: null,
      inputJson: "{}",
      idempotencyKey: null,
      actor: systemActor,
      startedBy: null,
      moduleRevision: null,
      ownerId: "pid:1:test",
      createdAtMs: 0
    }))
  })

const removeRun = ({ runId }: Owner) =>
  Effect.gen(function*() {
    const { write } = yield* Persistence.Persistence
    const runs = yield* RunStore.RunStore
    assert.strictEqual(yield* write(runs.remove(runId)), 1)
  })

const pending = Effect.flatMap(Removals.Removals, (removals) => Effect.map(removals.after(0), (all) => all.length))

/** What is to go goes in a fiber of its own. */
const settled = Effect.repeat(Effect.zipRight(turn, pending), { until: (left) => left === 0 })

/** A store that does not answer until it is told to. */
const unanswering = (store: Layer.Layer<ArtifactStore.ArtifactStore>, state: { down: boolean; asked: number }) =>
  Layer.map(store, (context) => {
    const real = Context.get(context, ArtifactStore.ArtifactStore)
    return Context.make(ArtifactStore.ArtifactStore, {
      ...real,
      removeAll: (owner) =>
        Effect.suspend(() => {
          state.asked++
          return state.down
            ? new ArtifactFailed({ reason: "Unavailable", place: owner.runId, detail: "down" })
            : real.removeAll(owner)
        })
    })
  })

const fill = (owner: Owner) =>
  Effect.flatMap(
    ArtifactStore.ArtifactStore,
    (store) =>
      Effect.forEach(["notes.md", "report/index.html"], (name) => store.put({ ...owner, name }, bytes(name)), {
        discard: true
      })
  )
const names = (owner: Owner) =>
  Effect.flatMap(
    ArtifactStore.ArtifactStore,
    (store) => Effect.map(store.list(owner), (all) => all.map(({ name }) => name))
  )

const both = ["notes.md", "report/index.html"]

describe("artifacts of runs", () => {
  const stores = {
    "files in the home": Effect.map(makeHome, (home) => serviceAt(home, filesAt(home))),
    "an S3-compatible store": Effect.gen(function*() {
      const home = yield* makeHome
      const server = yield* makeServer
      return serviceAt(home, s3At(settingsOf(server.endpoint), undefined, home))
    })
  }
  for (const [kind, open] of Object.entries(stores)) {
    it.scopedLive(`in ${kind} go with their run, an organization's too, and no others`, () =>
      Effect.flatMap(open, (service) =>
        Effect.gen(function*() {
          yield* Effect.forEach([mine, acme, other], (owner) => Effect.zipRight(launch(owner), fill(owner)))
          yield* removeRun(mine)
          yield* removeRun(acme)
          yield* settled
          assert.deepStrictEqual([yield* names(mine), yield* names(acme), yield* names(other)], [[], [], both])
        }).pipe(Effect.provide(service))))
  }

  it.scopedLive("go at the next start, when the process dies right after the commit that removes the run", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      yield* Effect.gen(function*() {
        yield* launch(mine)
        yield* fill(mine)
      }).pipe(Effect.provide(serviceAt(home, filesAt(home))))
      // A process whose store does nothing of what is to be done is as good as dead.
      const dead = Layer.mock(ArtifactStore.ArtifactStore, { removeAll: () => Effect.never })
      yield* Effect.gen(function*() {
        yield* removeRun(mine)
        assert.strictEqual(yield* pending, 1)
      }).pipe(Effect.provide(serviceAt(home, dead)))
      yield* Effect.gen(function*() {
        yield* settled
        assert.deepStrictEqual(yield* names(mine), [])
      }).pipe(Effect.provide(serviceAt(home, filesAt(home))))
    }))

  it.scoped("of a store that does not answer go an hour later; nobody waits for them meanwhile", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const state = { down: true, asked: 0 }
      yield* Effect.gen(function*() {
        const owners = Array.from({ length: 12 }, (_, n) => ({ tenant: null, runId: `old-${n}` }))
        yield* Effect.forEach(owners, (owner) => Effect.zipRight(launch(owner), fill(owner)), { discard: true })
        yield* Effect.forEach(owners, removeRun, { discard: true })
        yield* Effect.repeat(turn, { until: () => state.asked >= 5 })
        assert.strictEqual(yield* pending, 12)
        state.down = false
        const later = Effect.zipRight(TestClock.adjust("1 hour"), Effect.zipRight(turn, pending))
        yield* Effect.repeat(later, { until: (left) => left === 0 })
        for (const owner of owners) assert.deepStrictEqual(yield* names(owner), [])
      }).pipe(Effect.provide(serviceAt(home, unanswering(filesAt(home), state))))
    }))

  it.scopedLive("of a removed run are never seen by a new one of the same id, nor go those of the new one", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const state = { down: true, asked: 0 }
      yield* Effect.gen(function*() {
        const store = yield* ArtifactStore.ArtifactStore
        yield* launch(mine)
        yield* fill(mine)
        yield* removeRun(mine)
        yield* launch(mine)
        const key = { ...mine, name: "notes.md" }
        for (
          const asked of [
            Effect.asVoid(store.get(key)),
            Effect.asVoid(store.stat(key)),
            Effect.scoped(Effect.asVoid(store.getStream(key))),
            Effect.asVoid(store.list(mine)),
            Effect.asVoid(store.put(key, bytes("new"))),
            Effect.asVoid(store.putStream(key, Stream.make(bytes("new")))),
            store.remove(key)
          ]
        ) {
          assert.propertyVal(yield* Effect.flip(asked), "reason", "Unavailable")
        }
        state.down = false
        yield* store.put({ ...mine, name: "new.md" }, bytes("new"))
        yield* settled
        assert.deepStrictEqual(yield* names(mine), ["new.md"])
        // The same id once more: what is to go is the second one's.
        yield* removeRun(mine)
        yield* settled
        assert.deepStrictEqual(yield* names(mine), [])
      }).pipe(Effect.provide(serviceAt(home, unanswering(filesAt(home), state))))
    }))

  it.scopedLive("one that cannot be removed does not hold up the others", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const scope = yield* Scope.make()
      const stubborn = Layer.map(filesAt(home), (context) => {
        const real = Context.get(context, ArtifactStore.ArtifactStore)
        return Context.make(ArtifactStore.ArtifactStore, {
          ...real,
          removeAll: (owner) =>
            owner.runId === mine.runId
              ? new ArtifactFailed({ reason: "Refused", place: owner.runId, detail: "no" })
              : real.removeAll(owner)
        })
      })
      const context = yield* Layer.buildWithScope(serviceAt(home, stubborn), scope)
      yield* Effect.gen(function*() {
        yield* Effect.forEach([mine, other], (owner) => Effect.zipRight(launch(owner), fill(owner)))
        yield* removeRun(mine)
        yield* removeRun(other)
        yield* Effect.repeat(Effect.zipRight(turn, pending), { until: (left) => left === 1 })
        assert.deepStrictEqual(yield* names(other), [])
      }).pipe(Effect.provide(context))
      yield* Scope.close(scope, Exit.void)
    }))
})
