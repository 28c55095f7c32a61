import { useAtom } from "@effect-atom/atom-react"
import { Either } from "effect"
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react"
import { type WorkflowRow } from "../../gateway/contract.ts"
import { useAction } from "../Action.ts"
import { type Draft, type FieldErrors, fieldsOf, readDraft, readJsonInput } from "../InputForm.ts"
import { launchAtom } from "../State.ts"
import { InputField } from "./InputField.tsx"
import { Problem } from "./Problem.tsx"

/** 128 random bits; `crypto.randomUUID` is missing where the page came over plain HTTP from another host. */
const freshKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

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
  const refusedField = refused?._tag === "Refused" ? refused.field : undefined
  const errorOf = (name: string) => errors[name] ?? (refusedField === name ? refused?.message : undefined)

  useEffect(() => {
    form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus()
  }, [errors, refusedField])

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
            field={{
              name: "input",
              label: "Input",
              help: "One JSON object.",
              required: true,
              control: { kind: "json" }
            }}
            value={text}
            error={errorOf("input")}
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
            error={errorOf(field.name)}
            onChange={(value) => {
              setDraft((before) => ({ ...before, [field.name]: value }))
            }}
          />
        ))}
      <Problem error={refused} />
      <div className="buttons">
        <button type="submit" className="button primary" disabled={launch.busy}>
          {launch.busy ? "Launching…" : "Launch"}
        </button>
      </div>
    </form>
  )
}
