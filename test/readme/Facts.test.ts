import { assert, describe, it } from "@effect/vitest"
import fs from "node:fs"
import { exitCodes } from "../../src/cli/CommandFailed.ts"
import { catalogue } from "../../src/cli/ConfigCatalogue.ts"
import { aliasesOf, GatewayRpcs, scopeOf } from "../../src/gateway/contract.ts"
import { frameIdChars } from "../../src/gateway/contract/Frames.ts"
import { limits } from "../../src/gateway/internal/Limits.ts"
import { Bounds } from "../../src/model/index.ts"
import { blocks, code, readme, rows, section, spans } from "./support/Readme.ts"

const manifest = JSON.parse(fs.readFileSync("package.json", "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

const counted = (value: number) => value.toLocaleString("en-US")

const optionsIn = (text: string): ReadonlyArray<string> => [...text.matchAll(/--[a-z0-9-]+/g)].map(([option]) => option)

/** The commands that the help lists, and the options of each. */
const commands = new Map(
  // A command that has both options and commands below it shows its options before their names.
  [
    ...fs.readFileSync("test/cli/help.txt", "utf8").replace(/^( {2}- [a-z-]+) (?:\[[^\]]*\] )+(?=[a-z])/gm, "$1 ")
      .matchAll(/^ {2}- ([a-z-]+(?: [a-z-]+)?)(?= |$)(.*)$/gm)
  ]
    .map(([, name = "", rest = ""]) => [name, optionsIn(rest)] as const)
)

describe("the README", () => {
  it("links to and names only files that exist", () => {
    const links = [...readme.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target)
    const anchors = new Set(
      [...readme.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) => `#${title.toLowerCase().replaceAll(" ", "-")}`)
    )
    const dead = links.filter((target) =>
      target.startsWith("#") ? !anchors.has(target) : !/^https:/.test(target) && !fs.existsSync(target)
    )
    assert.deepStrictEqual(dead, [])
    const named = spans(readme).filter((span) => /^(?:src|test|scripts)\/[^\s<>*]*$/.test(span))
    assert.deepStrictEqual(named.filter((file) => !fs.existsSync(file)), [])
  })

  it("names every command of the help, and no other command or option", () => {
    const mentioned = code.flatMap((line) => [...line.matchAll(/(?:^|[\s`])smithers ([a-z-]+)((?: [^|#]*)?)/g)])
    const unknown = mentioned.flatMap(([, first = "", rest = ""]) => {
      const second = /^ ([a-z-]+)/.exec(rest)?.[1]
      const name = commands.has(`${first} ${second}`) ? `${first} ${second}` : first
      const options = commands.get(name)
      if (options === undefined) return [name]
      return optionsIn(rest).filter((option) => !options.includes(option))
        .map((option) => `${name} ${option}`)
    })
    assert.deepStrictEqual(unknown, [])
    const listed = spans(section("## Commands")).flatMap((span) =>
      /^smithers ([a-z-]+(?: [a-z-]+)?)$/.exec(span)?.[1] ?? []
    )
    // What only has commands below it takes no options.
    const groups = [...commands].filter(([name, options]) =>
      options.length === 0 && [...commands.keys()].some((other) => other.startsWith(`${name} `))
    ).map(([name]) => name)
    assert.deepStrictEqual([...listed].sort(), [...commands.keys()].filter((name) => !groups.includes(name)).sort())
  })

  it("has every exit code", () => {
    const documented = rows(section("## Commands")).map(([first]) => Number(first)).filter((number) => number >= 0)
    assert.deepStrictEqual(documented, Object.values(exitCodes))
  })

  it("mentions no setting that does not exist, and states the default of each", () => {
    const keys = new Set(readme.match(/SMITHERS_[A-Z0-9_]+/g))
    const handedOver = ["src/sandbox/internal/Execution.ts", "src/gateway/internal/UiFiles.ts"]
      .flatMap((file) => fs.readFileSync(file, "utf8").match(/SMITHERS_[A-Z_]+/g) ?? [])
    const known = new Set([...handedOver, ...catalogue.map(({ key }) => key)])
    assert.deepStrictEqual([...keys].filter((key) => !known.has(key)), [])
    assert.deepStrictEqual(
      rows(section("## Configuration")).map(([key, byDefault]) => [key, byDefault]),
      catalogue.map((setting) => [`\`${setting.key}\``, setting.default === null ? "" : `\`${setting.default}\``])
    )
  })

  it("states for each guarantee a test that names it, or that it is not there yet", () => {
    const guarantees = rows(section("## Guarantees"))
    assert.deepStrictEqual(guarantees.map(([number]) => number), ["1", "2", "3", "4", "5", "6", "7", "8"])
    for (const [number, , proof = ""] of guarantees) {
      const tests = [...proof.matchAll(/\]\((test\/[^)]+\.test\.ts)\)/g)].map(([, file = ""]) => file)
      if (tests.length === 0) {
        assert.match(proof, /^not there yet/, `guarantee ${number}`)
        continue
      }
      const texts = tests.map((file) => fs.readFileSync(file, "utf8"))
      const named = texts.some((text) => new RegExp(`guarantee ${number}\\b`, "i").test(text))
      assert.isTrue(named || proof.startsWith("in part"), `no test names guarantee ${number}`)
    }
  })

  it("lists the methods of the contract with their names and scopes", () => {
    assert.deepStrictEqual(
      rows(section("## The gateway")).filter(([name]) => GatewayRpcs.requests.has(name?.replaceAll("`", "") ?? "")),
      [...GatewayRpcs.requests.values()].map((rpc) => [
        `\`${rpc._tag}\``,
        aliasesOf(rpc).map((alias) => `\`${alias}\``).join(", "),
        `\`${scopeOf(rpc)}\``
      ])
    )
  })

  it("publishes the bounds that are enforced", () => {
    const table = rows(section("### Bounds"))
    const ours = table.filter(([name]) => name?.startsWith("`")).map(([name, value]) => [name, value])
    assert.deepStrictEqual(ours, Object.entries(Bounds).map(([name, value]) => [`\`${name}\``, counted(value)]))
    const wire = table.filter(([name]) => !name?.startsWith("`")).map(([name, value]) => [name, value])
    assert.deepStrictEqual(wire, [
      ["HTTP body", `${counted(limits.body)} bytes`],
      ["WebSocket message", `${counted(limits.body)} bytes`],
      ["JSON nesting", counted(limits.depth)],
      ["elements of an array", counted(limits.elements)],
      ["characters of a string", counted(limits.stringChars)],
      ["characters of a method name", counted(limits.methodChars)],
      ["characters of a request id", counted(frameIdChars)],
      ["characters of `startedBy.prompt`", counted(limits.promptChars)],
      ["sockets that have not said `connect`", counted(limits.pendingSockets)],
      ["sockets", counted(limits.sockets)],
      ["calls of one socket worked on at once", counted(limits.socketRequests)],
      ["event streams", counted(limits.streams)],
      ["event streams of one user", counted(limits.streamsPerUser)],
      ["event streams of one run", counted(limits.streamsPerRun)],
      ["event streams of one socket", counted(limits.streamsPerSocket)],
      ["events that a stream may lag behind", counted(limits.streamBacklog)],
      ["bytes waiting for one socket", counted(limits.queued)]
    ])
  })

  it("names the metrics that there are", () => {
    const sources = fs.readdirSync("src", { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => fs.readFileSync(`src/${name}`, "utf8"))
      .join("\n")
    const missing = spans(section("### Metrics")).filter((span) => span.startsWith("smithers_"))
      .filter((metric) => !sources.includes(`"${metric}"`))
    assert.deepStrictEqual(missing, [])
  })

  it("names every entry of the package, and only scripts that there are", () => {
    const entries = new Set(
      spans(section("## Embedding")).filter((span) => span.startsWith("smithers-orchestrator/"))
        .map((span) => `.${span.slice("smithers-orchestrator".length)}`)
    )
    assert.deepStrictEqual(Object.keys(manifest.exports).filter((entry) => !entries.has(entry)), [])
    assert.deepStrictEqual([...entries].filter((entry) => !(entry in manifest.exports)), [])
    const scripts = code.flatMap((line) =>
      [...line.matchAll(/npm (?:run ([a-z:]+)|(start|test)\b)/g)].map(([, script, short]) => script ?? short ?? "")
    )
    assert.deepStrictEqual(scripts.filter((script) => !(script in manifest.scripts)), [])
  })

  it("shows no TypeScript that is not tested, and nothing of the machine that it was written on", () => {
    const untested = blocks.filter(({ language, name }) =>
      /^(?:ts|tsx|js|typescript)$/.test(language) && name === undefined
    )
    assert.deepStrictEqual(untested, [])
    assert.notMatch(readme, /\/(?:work|tmp|root|home)\//)
    const hosts = new Set([...readme.matchAll(/https?:\/\/([^\s/)]+)/g)].map(([, host = ""]) => host.replace(/:$/, "")))
    assert.deepStrictEqual([...hosts].sort(), ["127.0.0.1:7331", "effect.website"])
  })
})
