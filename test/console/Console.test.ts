import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Page } from "playwright-core"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import * as Browser from "./support/Browser.ts"
import { consoleOf, events, runList, shownSeqs, signIn, steps } from "./support/Console.ts"
import { type Service, startService } from "./support/Service.ts"

describe.skipIf(Browser.missing !== undefined)("the console, on the real service", () => { // needs Chromium, which set-up installs
  let browser: Browser.Browser
  let service: Service
  let page: Page

  beforeAll(async () => {
    service = await startService()
    browser = await Browser.launch()
  })
  afterAll(async () => {
    await browser.close()
    await service.dispose()
  })

  const violations: Array<string> = []

  beforeEach(async () => {
    violations.length = 0
    page = await browser.newPage()
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) violations.push(message.text())
    })
    page.on("pageerror", (error) => violations.push(error.message))
  })
  afterEach(async () => {
    await page.close()
    assert.deepStrictEqual(violations, [])
  })

  const open = async (path = "") => {
    await page.goto(consoleOf(service.address, path))
    await signIn(page, service.token)
  }

  const launchGreeting = async (name: string) => {
    await open("/launch/greeting")
    await page.getByRole("textbox", { name: "name" }).fill(name)
    await page.getByRole("button", { name: "Launch" }).click()
    await page.getByRole("heading", { name: "greeting", exact: true }).waitFor()
  }

  it("refuses a wrong token, says so, and stays signed out", async () => {
    await page.goto(consoleOf(service.address))
    await page.getByLabel("Access token").fill("not-a-token-of-this-service")
    await page.getByRole("button", { name: "Sign in" }).click()
    await page.getByRole("alert").getByText("Invalid token").waitFor()
    await page.reload()
    await page.getByLabel("Access token").waitFor()
  })

  it("lists the workflows with what they say of themselves", async () => {
    await open("/launch")
    await page.getByRole("list", { name: "Workflows" }).getByRole("link", { name: /Greeting/ }).click()
    await page.getByRole("list", { name: "Workflows" }).getByText("Greets somebody, after it was approved.").waitFor()
    assert.strictEqual(await page.getByLabel("Workflow", { exact: true }).inputValue(), "greeting")
  })

  it("launches from the form, shows steps and events live, and finishes after an approval with a note", async () => {
    await launchGreeting("Ada")
    const approval = page.getByRole("region", { name: "Send this greeting?" })
    await approval.getByText("Hello, Ada!\nGuten Tag, Ada!").waitFor()
    await approval.getByText("postmaster").waitFor()
    await approval.getByText(/[0-9a-f]{64}/).waitFor()
    await steps(page).getByText("draft:Hello").waitFor()
    await events(page).getByText("Approval requested").waitFor()
    await approval.getByLabel("Note").fill("well put")
    await approval.getByRole("button", { name: "Approve" }).click()
    await page.getByRole("region", { name: "Result" }).getByText("well put").first().waitFor()
    await events(page).getByText("Run finished").waitFor()
    await steps(page).getByText("Clean the name").click()
    await steps(page).getByText("Ada", { exact: true }).waitFor()
    await runList(page).getByRole("link", { name: /greeting finished/ }).first().waitFor()
    const seqs = await shownSeqs(page)
    assert.deepStrictEqual(seqs, Array.from(seqs, (_, index) => index + 1))
  })

  it("decides on the approvals page, and tells when an approval no longer waits", async () => {
    await launchGreeting("Grace")
    await page.getByRole("link", { name: /Approvals/ }).click()
    await page.getByRole("list", { name: "Waiting for approval" }).getByRole("link").first().click()
    await page.getByRole("button", { name: "Deny" }).click()
    await page.getByText("This approval no longer waits").waitFor()
    await page.getByRole("link", { name: "Go to its run" }).click()
    await page.getByRole("region", { name: "greeting", exact: true }).getByText("ApprovalDenied").waitFor()
  })

  it("reviews the changes of a sandbox, and only what was accepted is there afterwards", async () => {
    const files = join(service.home, "edited")
    mkdirSync(files)
    for (const name of ["one.txt", "two.txt"]) writeFileSync(join(files, name), "first\n")
    await open("/launch/edit")
    await page.getByRole("textbox", { name: "files" }).fill(files)
    await page.getByRole("button", { name: "Launch" }).click()
    const review = page.getByRole("region", { name: "Apply the changes of edit?" })
    await review.getByRole("region", { name: "Diff, hunk 1 of two.txt" }).getByText("+changed").waitFor()
    await review.getByRole("checkbox", { name: "Accept one.txt" }).uncheck()
    await review.getByRole("button", { name: "Approve" }).click()
    await events(page).getByText("Run finished").waitFor()
    const [one, two] = ["one.txt", "two.txt"].map((name) => readFileSync(join(files, name), "utf8"))
    assert.deepStrictEqual([one, two], ["first\n", "first\nchanged\n"])
  })

  it("says why a step failed", async () => {
    await launchGreeting("nobody")
    await page.getByRole("region", { name: "greeting", exact: true }).getByText("nobody cannot be greeted").waitFor()
    await steps(page).getByText("Clean the name").click()
    await steps(page).getByText("nobody cannot be greeted").waitFor()
  })

  it("names the field that the workflow does not accept", async () => {
    await open("/launch/greeting")
    await page.getByRole("textbox", { name: "name" }).fill("Ada")
    await page.getByRole("textbox", { name: "languages" }).fill("-1")
    await page.getByRole("button", { name: "Launch" }).click()
    await page.getByText(/^languages .*-1/).waitFor()
    await page.locator(":focus").and(page.getByLabel("languages")).waitFor()
  })

  it("keeps the session over a reload, and forgets it on signing out", async () => {
    await open()
    await page.reload()
    await page.getByRole("status").getByText("Live").waitFor()
    await page.getByRole("button", { name: "Sign out" }).click()
    await page.reload()
    await page.getByLabel("Access token").waitFor()
  })

  it("cancels a run that waits", async () => {
    await launchGreeting("Alan")
    await page.getByRole("region", { name: "Send this greeting?" }).waitFor()
    await page.getByRole("button", { name: "Cancel run" }).click()
    await page.getByRole("button", { name: "Yes, cancel this run" }).click()
    await page.getByRole("region", { name: "greeting", exact: true }).getByText("cancelled").first().waitFor()
    await page.getByRole("region", { name: "Send this greeting?" }).waitFor({ state: "detached" })
  })

  it("shows in one tab what was launched in another", async () => {
    await open()
    const other = await browser.newPage()
    await other.goto(consoleOf(service.address, "/launch/greeting"))
    await signIn(other, service.token)
    await other.getByRole("textbox", { name: "name" }).fill("Barbara")
    await other.getByRole("button", { name: "Launch" }).click()
    await other.waitForURL(/\/console\/runs\/.+/)
    const runId = new URL(other.url()).pathname.split("/").at(-1)!
    await other.close()
    await runList(page).getByText(runId).waitFor()
  })

  it("survives a kill of the service: reconnects, and goes on after the last event it saw", async () => {
    await launchGreeting("Edsger")
    await page.getByRole("region", { name: "Send this greeting?" }).waitFor()
    await events(page).getByText("Approval requested").waitFor()
    await service.kill()
    await page.getByRole("status").getByText("Reconnecting…").waitFor()
    await service.start()
    await page.getByRole("status").getByText("Live").waitFor()
    await page.getByRole("button", { name: "Approve" }).click()
    await events(page).getByText("Run finished").waitFor()
    const seqs = await shownSeqs(page)
    assert.deepStrictEqual(seqs, Array.from(seqs, (_, index) => index + 1))
  })

  it("stands beside a user interface of the operator's own, which has its title and props, and runs by RPC", async () => {
    await launchGreeting("Mount")
    await page.goto(`${service.address}/ops/desk`)
    // It has no session of this browser yet.
    await page.getByLabel("Access token").fill("not-a-token-of-this-service")
    await page.getByRole("button", { name: "Sign in" }).click()
    await page.getByRole("alert").getByText("Invalid token").waitFor()
    await page.getByLabel("Access token").fill(service.token)
    await page.getByRole("button", { name: "Sign in" }).click()
    await page.getByRole("heading", { name: "</script><b>Hello</b>, Acme" }).waitFor()
    assert.strictEqual(await page.title(), "Acme <operations>")
    await runList(page).getByText(/^greeting /).first().waitFor()
    assert.strictEqual(new URL(page.url()).pathname, "/ops/desk")
  })
})
