import { assert, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { FileStore } from "../../src/artifacts/index.ts"
import { Artifacts, Task } from "../../src/workflow/index.ts"
import { makeHome } from "../artifacts/support/Stores.ts"
import { has } from "../support/Assert.ts"
import { fresh, workflow } from "../support/Engine.ts"

const Seen = Schema.Struct({ read: Schema.String, names: Schema.Array(Schema.String), place: Schema.String })

/** Leaves what it is told under one name, and tells what it sees of that. */
const leaving = (home: string) =>
  workflow(({ text }) =>
    Task.run({
      id: "leave",
      output: Seen,
      execute: Effect.gen(function*() {
        yield* Artifacts.put("notes.md", String(text))
        yield* Artifacts.put("draft.md", "x")
        yield* Artifacts.remove("draft.md")
        const { content } = yield* Artifacts.get("notes.md")
        const { bytes } = yield* Artifacts.stat("notes.md")
        assert.strictEqual(bytes, content.length)
        return {
          read: new TextDecoder().decode(content),
          names: (yield* Artifacts.list()).map(({ name }) => name),
          place: yield* Artifacts.place("notes.md")
        }
      })
    }).pipe(Effect.provide(store(home)))
  )

const store = (home: string) => FileStore.layer(home)

it.scopedLive("a task reaches the artifacts of its own run, of its own organization, and no others", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const { end, launch } = yield* fresh(leaving(home))
    yield* launch({ text: "one" }, { runId: "run-1" })
    has(yield* end("run-1"), {
      status: "finished",
      output: {
        read: "one",
        names: ["notes.md"],
        place: "<SMITHERS_HOME>/artifacts/run-1/notes.md"
      }
    })
    yield* launch({ text: "two" }, { runId: "run-2", tenant: { orgId: "acme", projectId: null } })
    has(yield* end("run-2"), {
      status: "finished",
      output: {
        read: "two",
        names: ["notes.md"],
        place: "<SMITHERS_HOME>/artifacts/@acme/run-2/notes.md"
      }
    })
  }))

it.scopedLive("a task streams what is large, and is told when what is to be new is there already", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const { end, launch } = yield* fresh(workflow(() =>
      Task.run({
        id: "stream",
        output: Schema.Struct({ bytes: Schema.Number, second: Schema.String }),
        execute: Effect.gen(function*() {
          const pieces = Stream.repeatValue(new Uint8Array(100_000)).pipe(Stream.take(30))
          yield* Artifacts.putStream("large", pieces, { ifAbsent: true })
          const { content } = yield* Artifacts.getStream("large")
          const bytes = yield* Stream.runFold(content, 0, (sum, piece) => sum + piece.length)
          const second = yield* Artifacts.put("large", "x", { ifAbsent: true }).pipe(
            Effect.as("stored"),
            Effect.catchTag("ArtifactFailed", ({ reason }) => Effect.succeed(reason))
          )
          return { bytes, second }
        }).pipe(Effect.scoped)
      }).pipe(Effect.provide(store(home)))
    ))
    yield* launch({}, { runId: "run-1" })
    has(yield* end("run-1"), { status: "finished", output: { bytes: 3_000_000, second: "Exists" } })
  }))

it.scopedLive("there is no name that leads to another run", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const { end, launch } = yield* fresh(workflow(({ name }) =>
      Task.run({
        id: "reach",
        output: Schema.Void,
        error: Artifacts.ArtifactRefused,
        execute: Effect.asVoid(Artifacts.get(String(name)))
      }).pipe(
        Effect.provide(store(home)),
        Effect.as("reached"),
        Effect.catchTag("ArtifactRefused", ({ field }) => Effect.succeed(`refused ${field}`))
      )
    ))
    for (const [index, name] of ["../run-1/notes.md", "/etc/passwd", "a/../../x"].entries()) {
      yield* launch({ name }, { runId: `run-${index}` })
      has(yield* end(`run-${index}`), { output: "refused name" })
    }
  }))
