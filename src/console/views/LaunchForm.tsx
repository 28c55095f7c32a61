import { useAtom } from "@effect-atom/atom-react"
import { Either } from "effect"
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react"
import { type WorkflowRow } from "../../gateway/contract.ts"
import { useAction } from "../Action.ts"
import {
  type Draft,
  type Field,
  type FieldErrors,
  fieldNamed,
  fieldsOf,
  readDraft,
  readJsonInput
} from "../InputForm.ts"
import { launchAtom } from "../State.ts"
import { InputField } from "./InputField.tsx"
import { Problem } from "./Problem.tsx"

/** 128 random bits; `crypto.randomUUID` is missing where the page came over plain HTTP from another host. */
const freshKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

const jsonField: Field = {
  name: "input",
  help: "One JSON object.",
  required: true,
  control: { kind: "json" }
}

/** The same input sent again, because the answer to the first got lost, is the same launch. */
const useIdempotencyKey = () => {
  const last = useRef({ input: "", key: "" })
  return (input: unknown) => {
    const text = JSON.stringify(input)
    if (last.current.input !== text || last.current.key === "") last.current = { input: text, key: freshKey() }
    return last.current.key
  }
}

/** The input of a workflow: a control for each member that its schema names, or one JSON text. */
export const LaunchForm = ({ workflow }: { readonly workflow: WorkflowRow }) => {
  const launch = useAction(useAtom(launchAtom))
  const idempotencyKey = useIdempotencyKey()
  const fields = useMemo(() => fieldsOf(workflow.inputSchema), [workflow.inputSchema])
  const [draft, setDraft] = useState<Draft>({})
  const [text, setText] = useState("{}")
  const [errors, setErrors] = useState<FieldErrors>({})
  const [submitted, setSubmitted] = useState(false)
  const form = useRef<HTMLFormElement>(null)

  const refused = submitted ? launch.error : undefined
  const named = useMemo(() => fieldNamed(fields ?? [jsonField], refused?.message ?? ""), [fields, refused])
  const errorOf = ({ name }: Field) => errors[name] ?? named[name]

  useEffect(() => {
    form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus()
  }, [errors, named])

  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    const read = fields === undefined
      ? Either.mapLeft(readJsonInput(text), (problem): FieldErrors => ({ input: problem }))
      : readDraft(fields, draft)
    setErrors(Either.isLeft(read) ? read.left : {})
    if (Either.isLeft(read)) return
    setSubmitted(true)
    launch.run({ workflow: workflow.key, input: read.right, idempotencyKey: idempotencyKey(read.right) })
  }

  return (
    <form className="form" ref={form} onSubmit={onSubmit} noValidate aria-label={`Input of ${workflow.key}`}>
      {fields === undefined
        ? (
          <InputField
            field={jsonField}
            value={text}
            error={errorOf(jsonField)}
            onChange={(value) => {
              setText(String(value))
            }}
          />
        )
        : fields.map((field) => (
          <InputField
            key={field.name}
            field={field}
            value={draft[field.name]}
            error={errorOf(field)}
            onChange={(value) => {
              setDraft((before) => ({ ...before, [field.name]: value }))
            }}
          />
        ))}
      {Object.keys(named).length === 0 ? <Problem error={refused} /> : null}
      <div className="buttons">
        <button type="submit" className="button primary" disabled={launch.busy}>
          {launch.busy ? "Launching…" : "Launch"}
        </button>
      </div>
    </form>
  )
}
