import { type Page } from "playwright-core"

/** The address of the console, from that of the service. */
export const consoleOf = (address: string, path = "") => `${address}/console${path}`

/** Fills the sign-in page in and waits until the console follows the service. */
export const signIn = async (page: Page, token: string) => {
  await page.getByLabel("Access token").fill(token)
  await page.getByRole("button", { name: "Sign in" }).click()
  await page.getByRole("status").getByText("Live").waitFor()
}

export const runList = (page: Page) => page.getByRole("list", { name: "Runs" })

export const steps = (page: Page) => page.getByRole("list", { name: "Steps" })

export const events = (page: Page) => page.getByRole("list", { name: "Events" })

/** The sequence numbers of the events on the page, in its order. */
export const shownSeqs = async (page: Page): Promise<ReadonlyArray<number>> => {
  const texts = await events(page).getByRole("listitem").locator(".seq").allTextContents()
  return texts.map(Number)
}
