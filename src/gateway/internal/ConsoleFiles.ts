import { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"
import { answer } from "./Answer.ts"
import { jsonText } from "./Json.ts"
import type { ServerResponse } from "./NodeHttp.ts"

/** Pages for browsers, and the files that they need. */
export interface ConsoleFiles {
  /** Null: there is none. */
  readonly mountPath: string | null
  /** Answers what lies at or below the mount; false when that is not the path's place, or there is no such file. */
  readonly answer: (path: string, response: ServerResponse) => boolean
}

const mountPath = "/console"

const isBelow = (path: string, mount: string): boolean => path === mount || path.startsWith(`${mount}/`)

/** The first that has a mount answers `/`; the longer mount is asked first. */
export const together = (first: ConsoleFiles, second: ConsoleFiles): ConsoleFiles => {
  const [inner, outer] = (second.mountPath ?? "").length > (first.mountPath ?? "").length
    ? [second, first]
    : [first, second]
  return {
    mountPath: first.mountPath ?? second.mountPath,
    answer: (path, response) =>
      inner.mountPath !== null && isBelow(path, inner.mountPath)
        ? inner.answer(path, response)
        : outer.answer(path, response)
  }
}

/** A service without one. */
export const noConsole: ConsoleFiles = { mountPath: null, answer: () => false }

export const contentTypes: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  map: "application/json",
  svg: "image/svg+xml",
  png: "image/png",
  ico: "image/x-icon",
  woff2: "font/woff2",
  mjs: "text/javascript; charset=utf-8",
  wasm: "application/wasm",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  txt: "text/plain; charset=utf-8"
}

interface Boot {
  readonly kind: "gateway" | "operator"
  readonly mountPath: string
  readonly assetBasePath: string
  readonly signInPath?: string
  readonly props: unknown
}

/** What a page learns of where it is and of the gateway, as text that may stand in a script element. */
export const bootText = (boot: Boot): string =>
  jsonText({ apiVersion: "v1", rpcPath: "/v1/rpc", wsPath: "/", ...boot }).replaceAll("<", "\\u003c")

const boot = bootText({ kind: "operator", mountPath, assetBasePath: `${mountPath}/`, props: {} })

/** What a page may load and do; `scripts` may run. */
export const policy = (scripts: string) =>
  `default-src 'self'; script-src ${scripts}; connect-src 'self'; img-src 'self' data:; ` +
  "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** The built console, read once: what is served is looked up in a table, so no path leads anywhere else. */
export const loadConsole = (directory: string): Effect.Effect<
  ConsoleFiles,
  never,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const files = new Map<string, Buffer>()
    const names = yield* Effect.orElseSucceed(fs.readDirectory(directory, { recursive: true }), () => [])
    for (const name of names) {
      const content = yield* Effect.option(fs.readFile(path.join(directory, name)))
      if (content._tag === "Some") {
        files.set(`${mountPath}/${name.split(path.sep).join("/")}`, Buffer.from(content.value))
      }
    }
    const index = files.get(`${mountPath}/index.html`)?.toString("utf8")
    if (index === undefined) yield* Effect.logWarning(`The console is not built: ${directory} has no index.html`)
    return {
      mountPath,
      answer: (requested, response) => {
        if (index === undefined || !isBelow(requested, mountPath)) return false
        const extension = /\.([a-z0-9]+)$/i.exec(requested)?.[1]?.toLowerCase()
        const file = requested === `${mountPath}/index.html` ? undefined : files.get(requested)
        if (file !== undefined) answerAsset(response, requested, extension, file)
        else if (extension === undefined || extension === "html") answerPage(response, index)
        return file !== undefined || extension === undefined || extension === "html"
      }
    }
  })

const answerAsset = (response: ServerResponse, path: string, extension: string | undefined, file: Buffer) =>
  answer(response, 200, file, {
    "Content-Type": contentTypes[extension ?? ""] ?? "application/octet-stream",
    // The build puts a hash of the content into the names of what it puts there.
    "Cache-Control": path.startsWith(`${mountPath}/assets/`) ? "public, max-age=31536000, immutable" : "no-store",
    "X-Content-Type-Options": "nosniff"
  })

const answerPage = (response: ServerResponse, index: string) => {
  const nonce = crypto.randomUUID()
  const script = `<script nonce="${nonce}">globalThis.__SMITHERS_GATEWAY_UI__=${boot};</script>`
  answer(response, 200, index.replace("<head>", () => `<head>${script}`), {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": policy(`'self' 'nonce-${nonce}'`)
  })
}
