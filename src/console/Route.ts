import { Atom } from "@effect-atom/atom-react"
import { boot } from "./Boot.ts"

/** What the address shows. Every state of the console that is worth a link is one of these. */
export type Route =
  | { readonly page: "runs"; readonly runId?: string }
  | { readonly page: "launch"; readonly workflow?: string }
  | { readonly page: "approvals"; readonly approval?: ApprovalKey }

export interface ApprovalKey {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
}

export const pathOf = (route: Route): string => {
  const parts = (() => {
    switch (route.page) {
      case "runs":
        return ["runs", route.runId]
      case "launch":
        return ["launch", route.workflow]
      case "approvals":
        return ["approvals", route.approval?.runId, route.approval?.nodeId, route.approval?.iteration.toString()]
    }
  })()
  return [boot.mountPath, ...parts.filter((part) => part !== undefined).map(encodeURIComponent)].join("/")
}

const decodePart = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const parse = (path: string): Route => {
  const [page, first, second, third] = path.slice(boot.mountPath.length).split("/").filter((part) => part !== "")
    .map(decodePart)
  if (page === "launch") return first === undefined ? { page } : { page, workflow: first }
  if (page === "approvals") {
    if (first === undefined || second === undefined) return { page }
    return { page, approval: { runId: first, nodeId: second, iteration: Number(third ?? 0) || 0 } }
  }
  return page === "runs" && first !== undefined ? { page, runId: first } : { page: "runs" }
}

/** The current route; writing it adds an entry to the browser's history. */
export const routeAtom = Atom.writable<Route, Route>(
  (get) => {
    const onPopState = () => {
      get.setSelf(parse(window.location.pathname))
    }
    window.addEventListener("popstate", onPopState)
    get.addFinalizer(() => {
      window.removeEventListener("popstate", onPopState)
    })
    return parse(window.location.pathname)
  },
  (context, route) => {
    window.history.pushState(null, "", pathOf(route))
    context.setSelf(route)
  }
).pipe(Atom.keepAlive)
