import { assert, describe, it } from "vitest"
import { checkArchitecture } from "../../scripts/check-architecture.ts"
import { render } from "../../scripts/Finding.ts"
import { fixture } from "./fixture.ts"

const check = (files: Readonly<Record<string, string>>) => checkArchitecture(fixture(files)).map(render)

const tag = (name: string, key: string) =>
  `import * as Context from "effect/Context"\nexport class ${name} extends Context.Tag("${key}")<${name}, {}>() {}\n`

describe("check:architecture", () => {
  it("lets a subsystem import the front door of one below it", () => {
    assert.deepStrictEqual(
      check({
        "src/model/index.ts": "export const a = 1\n",
        "src/persistence/index.ts": "export { a } from \"../model/index.ts\"\n",
        "src/App.ts": "import \"./persistence/index.ts\"\n"
      }),
      []
    )
  })

  it("reports an import that points up, although it is of a type only", () => {
    assert.deepStrictEqual(
      check({
        "src/journal/index.ts": "export interface A {}\n",
        "src/persistence/index.ts": "// reason\nimport type { A } from \"../journal/index.ts\"\nexport type B = A\n"
      }),
      ["src/persistence/index.ts:2 not-allowed persistence/ may not import journal/"]
    )
  })

  it("sees import types, dynamic imports, re-exports and our own subpath exports", () => {
    assert.deepStrictEqual(
      check({
        "package.json": JSON.stringify({
          name: "smithers-orchestrator",
          exports: { "./engine": { "@app/source": "./src/engine/index.ts" } }
        }),
        "src/engine/index.ts": "export interface A {}\n",
        "src/model/index.ts": [
          "export type A = import(\"../engine/index.ts\").A",
          "export const load = () => import(\"../engine/index.ts\")",
          "export * from \"../engine/index.ts\"",
          "export { type A as B } from \"smithers-orchestrator/engine\"",
          ""
        ].join("\n")
      }),
      [1, 2, 3, 4].map((line) => `src/model/index.ts:${line} not-allowed model/ may not import engine/`)
    )
  })

  it("reports an import past a front door", () => {
    assert.deepStrictEqual(
      check({
        "src/model/Run.ts": "export const a = 1\n",
        "src/journal/index.ts": "export { a } from \"../model/Run.ts\"\n"
      }),
      ["src/journal/index.ts:1 front-door model/Run.ts is private to model/, import model/index.ts"]
    )
  })

  it("lets the console import the contract of the gateway, and nothing else of it", () => {
    assert.deepStrictEqual(
      check({
        "src/gateway/contract.ts": "export const a = 1\n",
        "src/gateway/index.ts": "export const b = 1\n",
        "src/console/main.tsx":
          "export { a } from \"../gateway/contract.ts\"\nexport { b } from \"../gateway/index.ts\"\n"
      }),
      ["src/console/main.tsx:2 not-allowed console/ may not import gateway/"]
    )
  })

  it("keeps the contract of the gateway free of what a browser cannot load", () => {
    assert.deepStrictEqual(
      check({
        "src/model/index.ts": "export const a = 1\n",
        "src/engine/index.ts": "export const b = 1\n",
        "src/gateway/contract/Frames.ts":
          "import \"../../model/index.ts\"\nimport \"../Server.ts\"\nimport \"node:fs\"\n",
        "src/gateway/contract.ts": "import \"./contract/Frames.ts\"\nimport \"../engine/index.ts\"\n",
        "src/gateway/Server.ts": "import \"./contract/Frames.ts\"\n"
      }).filter((finding) => !finding.includes("circle")),
      [
        "src/gateway/contract.ts:2 not-allowed gateway/contract/ may not import engine/",
        "src/gateway/contract/Frames.ts:2 not-allowed gateway/contract/ may not import gateway/",
        "src/gateway/contract/Frames.ts:3 package-not-allowed gateway/contract/ may not import the package node:fs"
      ]
    )
  })

  it("lets an example import workflow and effect packages only", () => {
    assert.deepStrictEqual(
      check({
        "src/workflow/index.ts": "export const a = 1\n",
        "src/model/index.ts": "export const b = 1\n",
        "src/examples/Notes.ts": [
          "import \"../workflow/index.ts\"",
          "import \"@effect/platform\"",
          "import \"../model/index.ts\"",
          "import \"node:fs\"",
          ""
        ].join("\n")
      }),
      [
        "src/examples/Notes.ts:3 not-allowed examples/ may not import model/",
        "src/examples/Notes.ts:4 package-not-allowed examples/ may not import the package node:fs"
      ]
    )
  })

  it("reports an import of the composition root and one that leaves src", () => {
    assert.deepStrictEqual(
      check({
        "src/App.ts": "export const a = 1\n",
        "scripts/tool.ts": "export const b = 1\n",
        "src/cli/index.ts": "export { a } from \"../App.ts\"\nexport { b } from \"../../scripts/tool.ts\"\n"
      }),
      [
        "src/cli/index.ts:1 points-up cli/ may not import App.ts",
        "src/cli/index.ts:2 leaves-src scripts/tool.ts is outside src/"
      ]
    )
  })

  it("reports a folder and a root file that the table does not know", () => {
    const message = "unknown-place the table in scripts/architecture.ts knows no such subsystem or root file"
    assert.deepStrictEqual(check({ "src/Extra.ts": "export {}\n", "src/utils/index.ts": "export {}\n" }), [
      `src/Extra.ts:1 ${message}`,
      `src/utils/index.ts:1 ${message}`
    ])
  })

  it("reports a circle of files once, although it is of types only", () => {
    assert.deepStrictEqual(
      check({
        "src/model/A.ts": "import type { B } from \"./B.ts\"\nexport type A = B\n",
        "src/model/B.ts": "export type { A as B } from \"./C.ts\"\n",
        "src/model/C.ts": "\nexport type { A } from \"./A.ts\"\n"
      }),
      ["src/model/C.ts:2 circle model/A.ts → model/B.ts → model/C.ts → model/A.ts"]
    )
  })

  it("reports an exported layer that requires a Tag of a folder above", () => {
    const layer = [
      "import * as Layer from \"effect/Layer\"",
      "import type { Up } from \"../engine/index.ts\"",
      "import type { Own } from \"./Own.ts\"",
      "export declare const fine: Layer.Layer<never, never, Own>",
      "export declare const layer: Layer.Layer<never, never, Own | Up>",
      "export declare const layerWith: (n: number) => Layer.Layer<never, never, Up>",
      "export class Holder { static readonly layer: Layer.Layer<never, never, Up> = layerWith(1) }",
      ""
    ].join("\n")
    const message = "requires Up, a Tag of engine that cache/ may not require"
    const findings = check({
      "src/engine/index.ts": tag("Up", "Up"),
      "src/cache/Own.ts": tag("Own", "Own"),
      "src/cache/Cache.ts": layer,
      "src/cache/index.ts": "export * as Cache from \"./Cache.ts\"\n"
    })
    assert.deepStrictEqual(findings.filter((finding) => finding.includes("layer-requirement")), [
      `src/cache/Cache.ts:5 layer-requirement Cache.layer ${message}`,
      `src/cache/Cache.ts:6 layer-requirement Cache.layerWith ${message}`,
      `src/cache/Cache.ts:7 layer-requirement Cache.Holder.layer ${message}`
    ])
  })

  it("lets a layer require the listed Tags of libraries, and no others", () => {
    assert.deepStrictEqual(
      check({
        "src/cache/index.ts": [
          "import type * as Layer from \"effect/Layer\"",
          "import type { Path } from \"@effect/platform/Path\"",
          "import type { Scope } from \"effect/Scope\"",
          "export declare const a: Layer.Layer<never, never, Path | Scope>",
          "export declare const b: Layer.Layer<never, never, unknown>",
          ""
        ].join("\n")
      }),
      [
        "src/cache/index.ts:4 layer-requirement a requires Scope, a Tag of effect/Scope that cache/ may not require",
        "src/cache/index.ts:5 layer-requirement b requires unknown, which is no Tag"
      ]
    )
  })
})
