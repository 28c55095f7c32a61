import { boot } from "../Boot.ts"

export const Brand = () => (
  <h1 className="brand">
    <img src={`${boot.mountPath}/icon.svg`} alt="" />
    Smithers
  </h1>
)
