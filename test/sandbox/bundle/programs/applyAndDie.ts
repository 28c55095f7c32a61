import { Effect, Schema } from "effect"
import fs from "node:fs"
import * as BlobStore from "../../../../src/sandbox/BlobStore.ts"
import * as ChangeApply from "../../../../src/sandbox/ChangeApply.ts"
import { AfterStep } from "../../../../src/sandbox/internal/bundle/AfterStep.ts"
import { Selection } from "../../../../src/sandbox/Review.ts"

/** Applies a selection, or recovers, and kills itself after so many steps. Prints what it came to, if it lives. */
const [, , what = "", target = "", blobs = "", selectionFile = "", steps = ""] = process.argv

let left = Number(steps)
const die = () =>
  Effect.sync(() => {
    if (--left === 0) process.kill(process.pid, "SIGKILL")
  })

const program = what === "apply"
  ? Effect.map(
    Effect.flatMap(
      Schema.decode(Schema.parseJson(Selection))(fs.readFileSync(selectionFile, "utf8")),
      (selection) => ChangeApply.apply(target, selection)
    ),
    ({ outcome }) => outcome as string
  )
  : ChangeApply.recover(target)

Effect.runPromise(program.pipe(
  Effect.tap((outcome) => Effect.sync(() => process.stdout.write(`${outcome}\n`))),
  Effect.provideService(AfterStep, die),
  Effect.provide(BlobStore.layer(blobs))
))
