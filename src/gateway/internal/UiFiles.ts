import { FileSystem, Path } from "@effect/platform"
import { Effect, Either } from "effect"
import { checkedUi, type CustomUi, refusedUi } from "../CustomUi.ts"
import type { GatewayRefused } from "../GatewayError.ts"
import { answer } from "./Answer.ts"
import { bootText, type ConsoleFiles, contentTypes, policy } from "./ConsoleFiles.ts"
import { decode } from "./Credentials.ts"
import type { ServerResponse } from "./NodeHttp.ts"

/** What is served lies in memory. */
const most = { files: 1_000, bytes: 67_108_864 }

const scriptName = "__smithers_ui.js"

/** Modules are executed after it. */
const script = `globalThis.__SMITHERS_GATEWAY_UI__ = JSON.parse(document.getElementById("smithers-ui").textContent)\n`

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" }
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? character)

const extensionOf = (name: string): string => /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase() ?? ""

interface Loaded {
  readonly type: string
  readonly content: Buffer
}

/**
 * The files that may be served of a folder, by their path below it: neither what begins with a dot, nor what has another
 * extension, nor what a link says lies elsewhere.
 */
const readFolder = (root: string): Effect.Effect<
  ReadonlyMap<string, Loaded>,
  GatewayRefused,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const files = new Map<string, Loaded>()
    const folders = [""]
    let bytes = 0
    for (const folder of folders) {
      const names = yield* fs.readDirectory(path.join(root, folder))
      for (const name of names.filter((name) => !name.startsWith(".")).sort()) {
        const below = folder === "" ? name : `${folder}/${name}`
        const file = path.join(root, below)
        const real = yield* fs.realPath(file)
        if (!real.startsWith(`${root}${path.sep}`)) continue
        const { size, type } = yield* fs.stat(real)
        // A folder that is a link could hold itself.
        if (type === "Directory" && real === file) folders.push(below)
        const contentType = contentTypes[extensionOf(name)]
        if (type !== "File" || contentType === undefined) continue
        bytes += Number(size)
        if (files.size === most.files || bytes > most.bytes || folders.length > most.files) {
          return yield* refusedUi(
            "entry",
            `has more than ${most.files} files or ${most.bytes} bytes beside it; give it a folder of its own`
          )
        }
        files.set(below, { type: contentType, content: Buffer.from(yield* fs.readFile(real)) })
      }
    }
    return files
  }).pipe(Effect.catchTags({
    BadArgument: ({ message }) => refusedUi("entry", message),
    SystemError: ({ message }) => refusedUi("entry", message)
  }))

/**
 * A user interface of the operator's: the page at its mount and every path below without an extension, and what lies
 * beside the entry below `<mount>/__smithers_ui/`. All is read once, so no path leads anywhere else.
 */
export const loadUi = (given: CustomUi, home: string): Effect.Effect<
  ConsoleFiles,
  GatewayRefused,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const ui = yield* Either.match(checkedUi(given), { onLeft: Effect.fail, onRight: Effect.succeed })
    const entry = path.resolve(ui.entry)
    const root = yield* Effect.mapError(
      fs.realPath(path.dirname(entry)),
      ({ message }) => refusedUi("entry", message)
    )
    const ownHome = yield* Effect.orElseSucceed(fs.realPath(home), () => home)
    if (`${ownHome}${path.sep}`.startsWith(`${root}${path.sep}`)) {
      return yield* refusedUi("entry", "has the home of the service beside or below it; give it a folder of its own")
    }
    const files = yield* readFolder(root)
    const name = path.basename(entry)
    if (!files.has(name)) return yield* refusedUi("entry", `${entry} is not a file of its folder`)
    const { path: mountPath, props, title } = ui
    const assets = `${mountPath}/__smithers_ui/`
    const boot = bootText({
      kind: "gateway",
      mountPath,
      assetBasePath: assets,
      signInPath: "/v1/auth/sign-in",
      props
    })
    const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${escapeHtml(title)}</title>
    <script type="application/json" id="smithers-ui">${boot}</script>
    <script src="${mountPath}/${scriptName}"></script>
    <script type="module" src="${assets}${name}"></script>
  </head>
  <body>
    <div id="root"></div>
    <noscript>This page needs JavaScript.</noscript>
  </body>
</html>
`
    return {
      mountPath,
      answer: (requested, response) => {
        if (requested === `${mountPath}/${scriptName}`) {
          answerFile(response, { type: contentTypes["js"] ?? "", content: Buffer.from(script) })
          return true
        }
        if (requested.startsWith(assets)) {
          const file = files.get(decode(requested.slice(assets.length)))
          if (file !== undefined) answerFile(response, file)
          return file !== undefined
        }
        const isPage = (requested === mountPath || requested.startsWith(`${mountPath}/`)) &&
          extensionOf(requested.slice(mountPath.length)) === ""
        if (isPage) answerPage(response, page)
        return isPage
      }
    }
  })

const headers = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" }

const answerFile = (response: ServerResponse, { content, type }: Loaded) =>
  answer(response, 200, content, { "Content-Type": type, ...headers })

const answerPage = (response: ServerResponse, page: string) =>
  answer(response, 200, page, {
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": policy("'self'"),
    ...headers
  })
