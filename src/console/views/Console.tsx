import { useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import { useEffect } from "react"
import { type Route, routeAtom } from "../Route.ts"
import { sessionAtom } from "../Session.ts"
import { announcementAtom, approvalsAtom, approvalsListed, useConnection, useLoaded } from "../State.ts"
import { ApprovalsPage } from "./ApprovalsPage.tsx"
import { Brand } from "./Brand.tsx"
import { LaunchPage } from "./LaunchPage.tsx"
import { Link } from "./Link.tsx"
import { RunsPage } from "./RunsPage.tsx"
import { SignIn } from "./SignIn.tsx"

const connectionWords = { connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…" }

const ConnectionMark = () => {
  const connection = useConnection()
  return (
    <>
      <span
        className={`connection ${connection.state}`}
        role="status"
        title={connection.state === "reconnecting" ? connection.reason : undefined}
      >
        {connectionWords[connection.state]}
      </span>
      {connection.state === "live" ? <span className="muted user">{connection.user}</span> : null}
    </>
  )
}

const WaitingCount = () => {
  const { value = [] } = useLoaded(approvalsAtom)
  if (value.length === 0) return null
  return (
    <span className="count">
      {value.length > approvalsListed ? `${approvalsListed}+` : value.length}
      <span className="visually-hidden">&nbsp;waiting</span>
    </span>
  )
}

const Header = () => {
  const route = useAtomValue(routeAtom)
  const setSession = useAtomSet(sessionAtom)
  const here = (page: string) => route.page === page ? "page" : undefined
  return (
    <header className="header">
      <Brand />
      <nav className="nav" aria-label="Console">
        <Link to={{ page: "runs" }} aria-current={here("runs")}>Runs</Link>
        <Link to={{ page: "launch" }} aria-current={here("launch")}>Launch</Link>
        <Link to={{ page: "approvals" }} aria-current={here("approvals")}>
          Approvals <WaitingCount />
        </Link>
      </nav>
      <div className="end">
        <ConnectionMark />
        <button
          type="button"
          className="button quiet small"
          onClick={() => {
            setSession({ signedIn: false })
          }}
        >
          Sign out
        </button>
      </div>
    </header>
  )
}

const titleOf = (route: Route): string => {
  switch (route.page) {
    case "runs":
      return route.runId ?? "Runs"
    case "launch":
      return route.workflow === undefined ? "Launch" : `Launch ${route.workflow}`
    case "approvals":
      return "Approvals"
  }
}

const Page = () => {
  const route = useAtomValue(routeAtom)
  const title = titleOf(route)
  useEffect(() => {
    document.title = `${title} · Smithers`
  }, [title])
  switch (route.page) {
    case "runs":
      return <RunsPage runId={route.runId} />
    case "launch":
      return <LaunchPage workflow={route.workflow} />
    case "approvals":
      return <ApprovalsPage selected={route.approval} />
  }
}

/** The whole console: the sign-in page, or the page that the address names. */
export const Console = () => {
  const session = useAtomValue(sessionAtom)
  const announcement = useAtomValue(announcementAtom)
  if (!session.signedIn) return <SignIn notice={session.notice} />
  return (
    <>
      <Header />
      <main>
        <Page />
      </main>
      <p className="visually-hidden" aria-live="polite">{announcement}</p>
    </>
  )
}
