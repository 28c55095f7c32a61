import { type ClientError } from "../ClientError.ts"

/** What went wrong, said once to screen readers when it appears. */
export const Problem = ({ error }: { readonly error: ClientError | undefined }) =>
  error === undefined ? null : <p className="notice error" role="alert">{error.message}</p>
