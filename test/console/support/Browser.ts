import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type BrowserContext, chromium, type Page } from "playwright-core"

const executablePath = "/usr/bin/chromium"

/** Why there is no browser to test in; undefined when there is one. */
export const missing: string | undefined = existsSync(executablePath)
  ? undefined
  : `${executablePath} is missing (package chromium): the console was NOT tested`

if (missing !== undefined) {
  if (process.env["CI"] === "true") throw new Error(missing)
  process.stderr.write(`!! ${missing}\n`)
}

export interface Browser {
  readonly newPage: () => Promise<Page>
  readonly close: () => Promise<void>
}

export interface BrowserOptions {
  readonly width?: number
  readonly height?: number
  readonly dark?: boolean
}

/** A headless Chromium of its own, with a fresh profile that goes when it is closed. */
export const launch = async ({ dark = false, height = 900, width = 1280 }: BrowserOptions = {}): Promise<Browser> => {
  const profile = mkdtempSync(join(tmpdir(), "smithers-console-"))
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ]
  })
  context.setDefaultTimeout(15_000)
  return {
    newPage: () => context.newPage(),
    close: async () => {
      await context.close()
      rmSync(profile, { recursive: true, force: true })
    }
  }
}
