import { useAtom } from "@effect-atom/atom-react"
import { type FormEvent, useState } from "react"
import { useAction } from "../Action.ts"
import { signInAtom } from "../State.ts"
import { Brand } from "./Brand.tsx"

export const SignIn = ({ notice }: { readonly notice: string | undefined }) => {
  const signIn = useAction(useAtom(signInAtom))
  const [token, setToken] = useState("")
  const problem = signIn.busy ? undefined : signIn.error?.message ?? notice

  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    signIn.run(token.trim())
  }

  return (
    <main className="card sign-in">
      <Brand />
      <form className="form" onSubmit={onSubmit}>
        {problem === undefined ? null : <p className="notice error" role="alert">{problem}</p>}
        <div className="field">
          <label htmlFor="token">Access token</label>
          <input
            id="token"
            type="password"
            autoComplete="off"
            spellCheck={false}
            autoFocus
            required
            value={token}
            aria-describedby="token-help"
            aria-invalid={problem !== undefined}
            onChange={(event) => {
              setToken(event.target.value)
            }}
          />
          <p className="help" id="token-help">
            Issue one with <code>smithers token issue</code>, or use the one in <code>admin-token</code>{" "}
            in the service&apos;s home folder. It is kept in this browser tab only.
          </p>
        </div>
        <button className="button primary" type="submit" disabled={signIn.busy}>
          {signIn.busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  )
}
