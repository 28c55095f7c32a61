import { Fragment } from "react"
import { type ReviewedFile, type SandboxReview } from "../../model/index.ts"
import {
  type Choice,
  chooseAll,
  chooseFile,
  chooseNone,
  choosePart,
  extentOf,
  type Hunk,
  hunksOf,
  isChosen,
  partsOf
} from "../Review.ts"

/** More files than this are closed until somebody opens them. */
const openFiles = 20

interface Choosing {
  readonly choice: Choice
  readonly choose: (choice: Choice) => void
}

const sizeOf = ({ added, content, removed }: ReviewedFile): string => {
  switch (content) {
    case "text":
      return `+${added} −${removed}`
    case "same":
      return "content unchanged"
    case "binary":
    case "large":
      return content
  }
}

const Lines = ({ hunk, name }: { readonly hunk: Hunk; readonly name: string }) => (
  <pre className="diff" tabIndex={0} role="region" aria-label={name}>
    <span className="place">{hunk.place}{"\n"}</span>
    {hunk.lines.map(({ kind, text }, index) => <span key={index} className={kind}>{text}{"\n"}</span>)}
  </pre>
)

/** What changed in a file; with several hunks, each can be chosen. */
const Content = ({ choice, choose, file }: Choosing & { readonly file: ReviewedFile }) => {
  const hunks = file.diff === null || file.content !== "text" ? [] : hunksOf(file.diff)
  if (hunks.length === 0) {
    return (
      <p className="muted break">
        {file.diff === null ? "Too long to be shown. " : ""}
        SHA-256 before: <span className="mono">{file.base ?? "no file"}</span>, after:{" "}
        <span className="mono">{file.produced ?? "no file"}</span>
      </p>
    )
  }
  const parts = partsOf(file)
  return hunks.map((hunk, index) => {
    const number = index + 1
    const name = `hunk ${number} of ${file.path}`
    return (
      <Fragment key={number}>
        {parts === 1 ? null : (
          <label className="choice">
            <input
              type="checkbox"
              aria-label={`Accept ${name}`}
              checked={isChosen(choice, file, number)}
              onChange={(event) => {
                choose(choosePart(choice, file, number, event.target.checked))
              }}
            />
            Hunk {number} of {parts}
          </label>
        )}
        <Lines hunk={hunk} name={`Diff, ${name}`} />
      </Fragment>
    )
  })
}

const File = (
  { choice, choose, file, isOpen }: Choosing & { readonly file: ReviewedFile; readonly isOpen: boolean }
) => {
  const extent = extentOf(choice, file)
  return (
    <li className="reviewed stack">
      <label className="choice">
        <input
          type="checkbox"
          aria-label={`Accept ${file.path}`}
          checked={extent === "all"}
          ref={(box) => {
            if (box !== null) box.indeterminate = extent === "some"
          }}
          onChange={() => {
            choose(chooseFile(choice, file, extent !== "all"))
          }}
        />
        <span className="mono break">{file.from === null ? file.path : `${file.from} → ${file.path}`}</span>
        <span className="muted">{file.operation}, {sizeOf(file)}</span>
      </label>
      <details open={isOpen}>
        <summary aria-label={`Changes of ${file.path}`}>Changes</summary>
        <div className="stack">
          <Content choice={choice} choose={choose} file={file} />
        </div>
      </details>
    </li>
  )
}

const summary = ({ files }: SandboxReview, choice: Choice): string => {
  const count = (wanted: string) => files.filter((file) => extentOf(choice, file) === wanted).length
  const some = count("some")
  return `${count("all")} of ${files.length} files accepted${some === 0 ? "" : `, ${some} in part`}; ` +
    `${count("none")} rejected`
}

/** The changes of a sandbox, file by file, and which of them are accepted. */
export const ReviewFiles = ({ choice, choose, review }: Choosing & { readonly review: SandboxReview }) => {
  return (
    <>
      <p>
        Accepted changes go to <span className="mono break">{review.target}</span>
      </p>
      <div className="buttons">
        <button
          type="button"
          className="button"
          onClick={() => {
            choose(chooseAll(review))
          }}
        >
          Accept all files
        </button>
        <button
          type="button"
          className="button"
          onClick={() => {
            choose(chooseNone)
          }}
        >
          Reject all files
        </button>
      </div>
      <p role="status">{summary(review, choice)}</p>
      <ul className="rows" aria-label="Changed files">
        {review.files.map((file) => (
          <File
            key={file.path}
            choice={choice}
            choose={choose}
            file={file}
            isOpen={review.files.length <= openFiles}
          />
        ))}
      </ul>
    </>
  )
}
