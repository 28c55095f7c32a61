import { Fragment } from "react"
import { readableParts } from "../Format.ts"

/** A value in full; long ones scroll, with the keyboard too. */
export const Value = ({ name, of, tall = false }: {
  readonly name: string
  readonly of: unknown
  readonly tall?: boolean
}) => (
  <>
    {readableParts(of).map(([part, text]) => (
      <Fragment key={part ?? ""}>
        {part === undefined ? null : <p className="muted mono">{part}</p>}
        <pre
          className={tall ? "payload" : "payload short"}
          tabIndex={0}
          role="region"
          aria-label={part === undefined ? name : `${name}: ${part}`}
        >
          {text}
        </pre>
      </Fragment>
    ))}
  </>
)
