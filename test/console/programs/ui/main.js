// A user interface of one's own, as a browser executes it: props, sign-in and a call of the gateway.
import { call } from "./rpc.mjs"

const { props } = Reflect.get(globalThis, "__SMITHERS_GATEWAY_UI__")

const greeting = document.createElement("h1")
greeting.textContent = props.greeting

const list = document.createElement("ul")
list.setAttribute("aria-label", "Runs")
for (const { runId, status, workflowKey } of await call("listRuns", { filter: { limit: 10 } })) {
  const item = document.createElement("li")
  item.textContent = `${workflowKey} ${status} ${runId}`
  list.append(item)
}

document.getElementById("root")?.append(greeting, list)
