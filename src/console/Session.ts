import { Atom } from "@effect-atom/atom-react"

/** The operator's token while signed in; otherwise why there is none, if there is something to say. */
type Session =
  | { readonly signedIn: true; readonly token: string }
  | { readonly signedIn: false; readonly notice?: string }

const storageKey = "smithers.console.token"

const stored = (): Session => {
  const token = window.sessionStorage.getItem(storageKey)
  return token === null ? { signedIn: false } : { signedIn: true, token }
}

/** Lives as long as the browser tab: a reload keeps it, a new tab asks again. */
export const sessionAtom = Atom.writable<Session, Session>(stored, (context, session) => {
  if (session.signedIn) window.sessionStorage.setItem(storageKey, session.token)
  else window.sessionStorage.removeItem(storageKey)
  context.setSelf(session)
}).pipe(Atom.keepAlive)
