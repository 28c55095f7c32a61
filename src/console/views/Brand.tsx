import { boot } from "../Boot.ts"

export const Brand = ({ as: Element }: { readonly as: "h1" | "div" }) => (
  <Element className="brand">
    <img src={`${boot.mountPath}/icon.svg`} alt="" />
    Smithers
  </Element>
)
