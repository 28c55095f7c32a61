import { type ReactNode, useEffect, useRef } from "react"

/** A list and what was selected in it: side by side, or one at a time where there is no room. */
export const Panes = ({ children, list, selected }: {
  readonly list: ReactNode
  /** Names what is selected; absent while nothing is. */
  readonly selected: string | undefined
  readonly children: ReactNode
}) => {
  const detail = useRef<HTMLDivElement>(null)
  const before = useRef(selected)

  // Where the detail takes the list's place, the focus has to go with it.
  useEffect(() => {
    const hidden = document.activeElement?.checkVisibility() !== true || document.activeElement === document.body
    if (selected !== undefined && selected !== before.current && hidden) detail.current?.focus({ preventScroll: true })
    before.current = selected
  }, [selected])

  return (
    <div className={selected === undefined ? "panes" : "panes showing-detail"}>
      <a className="button skip" href="#detail">Skip the list</a>
      <div className="list-pane card">{list}</div>
      <div className="detail" id="detail" ref={detail} tabIndex={-1}>{children}</div>
    </div>
  )
}
