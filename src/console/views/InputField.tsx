import { useId } from "react"
import { type Field } from "../InputForm.ts"

/** One labelled control with its help and what is wrong with what was typed. */
export const InputField = ({ error, field, onChange, value }: {
  readonly field: Field
  readonly value: string | boolean | undefined
  readonly error: string | undefined
  readonly onChange: (value: string | boolean) => void
}) => {
  const id = useId()
  const described = [
    ...field.help === undefined ? [] : [`${id}-help`],
    ...error === undefined ? [] : [`${id}-error`]
  ].join(" ")
  const shared = {
    id,
    "aria-invalid": error !== undefined,
    "aria-describedby": described === "" ? undefined : described,
    "aria-required": field.required
  }
  const typed = {
    ...shared,
    value: typeof value === "string" ? value : "",
    onChange: (event: { readonly target: { readonly value: string } }) => {
      onChange(event.target.value)
    }
  }
  const control = (() => {
    switch (field.control.kind) {
      case "text":
        return <input type="text" autoComplete="off" {...typed} />
      case "number":
        return <input type="text" inputMode={field.control.integer ? "numeric" : "decimal"} {...typed} />
      case "json":
        return <textarea className="code" spellCheck={false} {...typed} />
      case "choice":
        return (
          <select {...typed}>
            <option value="">{field.required ? "Choose…" : "Not given"}</option>
            {field.control.options.map((option) => <option key={option} value={option}>{option}</option>)}
          </select>
        )
      case "boolean":
        return (
          <input
            type="checkbox"
            {...shared}
            checked={value === true}
            onChange={(event) => {
              onChange(event.target.checked)
            }}
          />
        )
    }
  })()
  const label = (
    <label htmlFor={id}>
      {field.name}
      {field.required || field.control.kind === "boolean" ? null : <span className="optional">{" "}(optional)</span>}
    </label>
  )
  const check = field.control.kind === "boolean"
  return (
    <div className={check ? "field check" : "field"}>
      {check ? null : label}
      {check ? control : null}
      {check ? label : control}
      {field.help === undefined ? null : <p className="help" id={`${id}-help`}>{field.help}</p>}
      {error === undefined ? null : (
        <p className="problem" id={`${id}-error`}>
          {field.name} {error}
        </p>
      )}
    </div>
  )
}
