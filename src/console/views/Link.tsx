import { useAtomSet } from "@effect-atom/atom-react"
import { type ComponentProps, type MouseEvent } from "react"
import { pathOf, type Route, routeAtom } from "../Route.ts"

/** A real link: opens in a new tab when asked to, otherwise changes the route without loading the page again. */
export const Link = ({ to, ...rest }: Omit<ComponentProps<"a">, "href" | "onClick"> & { readonly to: Route }) => {
  const navigate = useAtomSet(routeAtom)
  const onClick = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    navigate(to)
  }
  return <a {...rest} href={pathOf(to)} onClick={onClick} />
}
