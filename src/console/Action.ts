import { type Atom, Result } from "@effect-atom/atom-react"
import { Option } from "effect"
import { type ClientError } from "./ClientError.ts"

/** Something the operator asked for: whether it is still under way, and why the last one was not done. */
interface Action<Arg> {
  readonly run: (arg: Arg) => void
  readonly busy: boolean
  readonly error: ClientError | undefined
}

/** An action from what `useAtom` gives for an `Atom.fn`. */
export const useAction = <Arg, A>(
  [result, run]: readonly [Result.Result<A, ClientError>, (arg: Arg | Atom.Reset | Atom.Interrupt) => void]
): Action<Arg> => ({
  run,
  busy: result.waiting,
  error: result.waiting ? undefined : Option.getOrUndefined(Result.error(result))
})
