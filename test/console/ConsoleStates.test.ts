import { join } from "node:path"
import { type Page } from "playwright-core"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import * as Browser from "./support/Browser.ts"
import { consoleOf, events, runList, shownSeqs, signIn, steps } from "./support/Console.ts"
import { FakeGateway } from "./support/FakeGateway.ts"

/** States of the service that take long to reach for real: thousands of runs, lost connections, refusals. */
describe.skipIf(Browser.missing !== undefined)("the console, on a gateway made of memory", () => { // needs Chromium, which set-up installs
  let browser: Browser.Browser
  let gateway: FakeGateway
  let page: Page

  beforeAll(async () => {
    browser = await Browser.launch()
  })
  afterAll(() => browser.close())

  beforeEach(async () => {
    gateway = new FakeGateway(join(process.cwd(), "dist/console"))
    await gateway.start()
    page = await browser.newPage()
  })
  afterEach(async () => {
    await page.close()
    await gateway.stop()
  })

  const open = async (path = "") => {
    await page.goto(consoleOf(gateway.address, path))
    await signIn(page, gateway.token)
  }

  it("draws one page of 10,000 runs, and the next one on request", async () => {
    for (let index = 0; index < 10_000; index++) gateway.addRun("echo", { index }, "finished")
    await open()
    await runList(page).getByText(gateway.runs.at(-1)!.runId).waitFor()
    assert.strictEqual(await runList(page).getByRole("listitem").count(), 50)
    await page.getByRole("button", { name: "Older" }).click()
    await runList(page).getByText(gateway.runs.at(-51)!.runId).waitFor()
    assert.strictEqual(await runList(page).getByRole("listitem").count(), 50)
  })

  it("opens a run of 100,000 events at its end without reading all of them, and pages back", async () => {
    const run = gateway.addRun("echo", {})
    for (let index = 0; index < 100_000; index++) gateway.emit(run, "node.started", { nodeId: `n${index}` })
    await open(`/runs/${run.runId}`)
    await events(page).getByText("100000", { exact: true }).waitFor()
    const shown = await shownSeqs(page)
    assert.deepStrictEqual([shown.length, shown[0], shown.at(-1)], [200, 99_801, 100_000])
    await page.getByRole("button", { name: "Earlier events" }).click()
    await events(page).getByText("99601", { exact: true }).waitFor()
    const earlier = await shownSeqs(page)
    assert.deepStrictEqual([earlier.length, earlier[0], earlier.at(-1)], [200, 99_601, 99_800])
    await page.getByRole("button", { name: "Back to the latest" }).click()
    await events(page).getByText("100000", { exact: true }).waitFor()
  })

  it("keeps at most a page of events while 5,000 arrive", async () => {
    const run = gateway.addRun("echo", {})
    gateway.emit(run, "RunStarted")
    await open(`/runs/${run.runId}`)
    await events(page).getByText("Run started").waitFor()
    for (let index = 0; index < 5_000; index++) gateway.emit(run, "node.started", { nodeId: `n${index}` })
    await events(page).getByText("5001", { exact: true }).waitFor()
    const shown = await shownSeqs(page)
    assert.deepStrictEqual(shown, Array.from({ length: 200 }, (_, index) => 4_802 + index))
  })

  it("draws 200 of 10,000 steps, and more on request", async () => {
    const run = gateway.addRun("echo", {})
    for (let index = 0; index < 10_000; index++) gateway.node(run, `n${index}`, "finished")
    await open(`/runs/${run.runId}`)
    await page.getByText("200 of 10000").waitFor()
    assert.strictEqual(await steps(page).getByRole("listitem").count(), 200)
    await page.getByRole("button", { name: "Show more" }).click()
    await page.getByText("400 of 10000").waitFor()
  })

  it("reconnects after the service went away and goes on after the last event it saw", async () => {
    const run = gateway.addRun("echo", {})
    gateway.emit(run, "RunStarted")
    gateway.emit(run, "node.started", { nodeId: "first" })
    await open(`/runs/${run.runId}`)
    await events(page).getByText("first").waitFor()
    await gateway.stop()
    await page.getByRole("status").getByText("Reconnecting…").waitFor()
    gateway.emit(run, "node.started", { nodeId: "missed" })
    await gateway.start()
    await events(page).getByText("missed").waitFor()
    gateway.emit(run, "node.started", { nodeId: "live" })
    await events(page).getByText("live").waitFor()
    await page.getByRole("status").getByText("Live").waitFor()
    assert.deepStrictEqual(await shownSeqs(page), [1, 2, 3, 4])
    assert.include(gateway.calls, "stream afterSeq=2")
  })

  it("shows a run that somebody else launched, and every change of its status", async () => {
    await open()
    await page.getByText("No runs yet.").waitFor()
    const run = gateway.addRun("echo", {})
    gateway.emit(run, "node.started", { nodeId: "a" })
    await runList(page).getByRole("link", { name: "echo running" }).waitFor()
    run.status = "failed"
    gateway.emit(run, "run.completed", { status: "failed" })
    await runList(page).getByRole("link", { name: "echo failed" }).waitFor()
  })

  it("lists only runs of the chosen status", async () => {
    gateway.addRun("echo", {}, "finished")
    gateway.addRun("release-notes", {}, "failed")
    await open()
    await runList(page).getByText("echo").waitFor()
    await page.getByLabel("Status").selectOption("failed")
    await runList(page).getByText("echo").waitFor({ state: "detached" })
    assert.strictEqual(await runList(page).getByRole("listitem").count(), 1)
  })

  it("shows a failed step with its error, and why the run failed", async () => {
    const run = gateway.addRun("echo", {}, "failed")
    run.error = { name: "RepositoryNotFound", message: "repo: must be a git repository", typed: true }
    gateway.node(run, "collect", "failed", { label: "Collect commits", lastAttempt: 3, error: run.error })
    await open(`/runs/${run.runId}`)
    await page.getByRole("region", { name: "echo" }).getByText("repo: must be a git repository").waitFor()
    await steps(page).getByText("Collect commits").click()
    await steps(page).getByText("repo: must be a git repository").waitFor()
    await steps(page).getByText("attempt 3").waitFor()
  })

  it("says why an operator has to look at a run", async () => {
    const run = gateway.addRun("echo", {}, "paused")
    run.hold = { kind: "quarantined", reason: "resumed 3 times without progress" }
    await open(`/runs/${run.runId}`)
    await page.getByText("resumed 3 times without progress").waitFor()
  })

  it("names the field that the service refuses, and puts the focus there", async () => {
    await open("/launch/release-notes")
    await page.getByLabel("repo").fill("/nowhere")
    await page.getByLabel("from").fill("v1")
    await page.getByLabel("to", { exact: true }).fill("v2")
    await page.getByRole("button", { name: "Launch" }).click()
    await page.getByText("repo must lie under an allowed root").waitFor()
    await page.locator(":focus").and(page.getByLabel("repo")).waitFor()
  })

  it("asks for the input as JSON where the workflow has no schema, and says what is wrong with it", async () => {
    await open("/launch/echo")
    await page.getByRole("textbox", { name: "input" }).fill("[1]")
    await page.getByRole("button", { name: "Launch" }).click()
    await page.getByText("input must be a JSON object").waitFor()
    await page.getByRole("textbox", { name: "input" }).fill("{\"greeting\": \"hello\"}")
    await page.getByRole("button", { name: "Launch" }).click()
    await page.getByRole("region", { name: "Input" }).getByText("hello").first().waitFor()
  })

  it("pauses and resumes a run, and cancels it only after asking", async () => {
    const run = gateway.addRun("echo", {})
    await open(`/runs/${run.runId}`)
    await page.getByRole("button", { name: "Pause" }).click()
    await page.getByRole("button", { name: "Resume" }).click()
    await page.getByRole("button", { name: "Cancel run" }).click()
    await page.getByRole("button", { name: "Keep it" }).click()
    await page.getByRole("button", { name: "Cancel run" }).click()
    await page.getByRole("button", { name: "Yes, cancel this run" }).click()
    await page.getByRole("region", { name: "echo" }).getByText("cancelled").first().waitFor()
  })

  it("signs out, with the reason, when the token stops being accepted", async () => {
    await open()
    const { token } = gateway
    gateway.token = "another"
    await gateway.stop()
    await gateway.start()
    await page.getByRole("alert").getByText("Invalid token").waitFor()
    await page.reload()
    await page.getByLabel("Access token").waitFor()
    gateway.token = token
  })

  describe("a review of the changes of a sandbox", () => {
    const file = (path: string, more: object = {}) => ({
      path,
      operation: "modify",
      from: null,
      content: "text",
      added: 1,
      removed: 1,
      hunks: 1,
      base: "a".repeat(64),
      produced: "b".repeat(64),
      diff: `diff --git a/${path} b/${path}\n--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-old\n+new\n`,
      ...more
    })
    const long = file("src/long.ts", {
      hunks: 2,
      diff:
        "--- a/src/long.ts\n+++ b/src/long.ts\n@@ -1,2 +1,2 @@\n line 1\n-line 2\n+LINE 2\n@@ -8,2 +8,2 @@ end\n line 8\n-line 9\n+LINE 9\u202e\n"
    })
    const binary = file("logo.png", { operation: "add", content: "binary", hunks: 0, base: null, diff: "" })
    const review = (files: ReadonlyArray<object>) => ({ changeSet: "c", baseRef: "r", target: "/repo", files })

    const reviewing = async (files: ReadonlyArray<object>) => {
      const run = gateway.addRun("release-notes", {})
      gateway.park(run, review(files))
      await open(`/approvals/${run.runId}/ship/0`)
      await page.getByRole("list", { name: "Changed files" }).waitFor()
      return run
    }
    const box = (name: string) => page.getByRole("checkbox", { name: `Accept ${name}`, exact: true })
    const decided = async () => {
      await page.getByText("This approval no longer waits").waitFor()
      return gateway.decisions.at(-1)!
    }

    it("shows each file with its hunks, and writes out characters that would deceive", async () => {
      await reviewing([file("a.txt"), long, binary])
      await page.getByText("/repo").waitFor()
      await page.getByRole("region", { name: "Diff, hunk 2 of src/long.ts" }).getByText("+LINE 9\\u{202e}").waitFor()
      await page.getByText(`after: ${"b".repeat(64)}`).waitFor()
      await page.getByText("3 of 3 files accepted; 0 rejected").waitFor()
      await page.getByRole("button", { name: "Approve" }).click()
      const { approved, decision, payloadSha256 } = await decided()
      assert.deepStrictEqual([approved, decision, typeof payloadSha256], [true, undefined, "string"])
    })

    it("sends the accepted files and hunks, and the note", async () => {
      await reviewing([file("a.txt"), long, binary])
      await box("a.txt").uncheck()
      await box("hunk 1 of src/long.ts").uncheck()
      await page.getByText("1 of 3 files accepted, 1 in part; 1 rejected").waitFor()
      assert.isTrue(await box("src/long.ts").evaluate((node) => (node as HTMLInputElement).indeterminate))
      await page.getByRole("textbox", { name: /^Note/ }).fill("only these")
      await page.getByRole("button", { name: "Approve" }).click()
      const { decision, note } = await decided()
      assert.deepStrictEqual([decision, note], [{
        value: { accept: [{ path: "src/long.ts", accept: true, hunks: [2] }, { path: "logo.png", accept: true }] }
      }, "only these"])
    })

    it("lets nobody approve nothing, and deny says it", async () => {
      await reviewing([file("a.txt"), long])
      await page.getByRole("button", { name: "Reject all files" }).click()
      await page.getByText("0 of 2 files accepted; 2 rejected").waitFor()
      assert.isTrue(await page.getByRole("button", { name: "Approve" }).isDisabled())
      await page.getByRole("button", { name: "Accept all files" }).click()
      assert.isFalse(await page.getByRole("button", { name: "Approve" }).isDisabled())
      await page.getByRole("button", { name: "Deny" }).click()
      const { approved, decision } = await decided()
      assert.deepStrictEqual([approved, decision], [false, undefined])
    })

    it("is decided with the keyboard alone, and scrolls no page sideways", async () => {
      await page.setViewportSize({ width: 380, height: 800 })
      await reviewing([file("a.txt", { diff: `@@ -1 +1 @@\n-${"x".repeat(2_000)}\n+y\n` }), long])
      assert.strictEqual(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth"), 0)
      for (const name of ["a.txt", "hunk 2 of src/long.ts"]) {
        for (let presses = 0; presses < 60; presses++) {
          await page.keyboard.press("Tab")
          if (await page.locator(":focus").and(box(name)).count() === 1) break
        }
        await page.keyboard.press("Space")
      }
      await page.getByText("0 of 2 files accepted, 1 in part; 1 rejected").waitFor()
      await page.getByRole("button", { name: "Approve" }).press("Enter")
      const { decision } = await decided()
      assert.deepStrictEqual(decision, { value: { accept: [{ path: "src/long.ts", accept: true, hunks: [1] }] } })
    })

    it("of 1,000 files only shows what is opened", async () => {
      await reviewing(Array.from({ length: 1_000 }, (_, index) => file(`f${index}.txt`)))
      const diff = page.getByRole("region", { name: "Diff, hunk 1 of f999.txt" })
      assert.isFalse(await diff.isVisible())
      await page.getByLabel("Changes of f999.txt").click()
      assert.isTrue(await diff.isVisible())
    })
  })

  it("can be used with the keyboard alone", async () => {
    const run = gateway.addRun("release-notes", {})
    gateway.park(run, { title: "Notes" })
    await page.goto(consoleOf(gateway.address))
    await page.locator(":focus").and(page.getByLabel("Access token")).waitFor()
    await page.keyboard.type(gateway.token)
    await page.keyboard.press("Enter")
    await page.getByRole("status").getByText("Live").waitFor()
    const tabTo = async (name: string | RegExp, role: "link" | "button" | "textbox") => {
      for (let presses = 0; presses < 60; presses++) {
        await page.keyboard.press("Tab")
        if (await page.locator(":focus").and(page.getByRole(role, { name })).count() === 1) return
      }
      assert.fail(`Tab does not reach the ${role} ${String(name)}`)
    }
    await runList(page).getByRole("listitem").first().waitFor()
    await tabTo(/^release-notes/, "link")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { name: "Publish these notes?" }).waitFor()
    await tabTo(/^Note/, "textbox")
    await page.keyboard.type("read it")
    await tabTo("Approve", "button")
    await page.keyboard.press("Enter")
    await page.getByRole("region", { name: "Result" }).getByText("read it").first().waitFor()
  })

  it("gives every control a name", async () => {
    const run = gateway.addRun("release-notes", {})
    gateway.park(run, { title: "Notes" })
    await open()
    const pages = [
      "/runs",
      `/runs/${run.runId}`,
      "/launch/release-notes",
      "/launch/echo",
      `/approvals/${run.runId}/ship/0`
    ]
    for (const path of pages) {
      await page.goto(consoleOf(gateway.address, path))
      await page.getByRole("status").getByText("Live").waitFor()
      await page.getByRole("main").getByRole("heading").first().waitFor()
      const unnamed = /^\s*- (button|link|textbox|combobox|checkbox|list|region|navigation)\b(?! ")/
      const lines = (await page.locator("body").ariaSnapshot()).split("\n")
      assert.deepStrictEqual(lines.filter((line) => unnamed.test(line)), [], path)
    }
  })

  it("needs no sideways scrolling at 380 px, and shows either the list or what was selected", async () => {
    const run = gateway.addRun("release-notes", {})
    gateway.park(run, { line: "x".repeat(2_000) })
    await page.setViewportSize({ width: 380, height: 800 })
    await open()
    await runList(page).getByRole("link").first().click()
    await page.getByRole("heading", { name: "Publish these notes?" }).waitFor()
    assert.isFalse(await runList(page).isVisible())
    assert.strictEqual(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth"), 0)
    await page.getByRole("link", { name: "All runs" }).click()
    await runList(page).getByRole("link").first().waitFor()
  })
})
