import { Atom } from "@effect-atom/atom-react"

/** The present, to the second: what ages are shown against. */
export const nowAtom = Atom.make<number>((get) => {
  const timer = setInterval(() => {
    get.setSelf(Date.now())
  }, 1_000)
  get.addFinalizer(() => {
    clearInterval(timer)
  })
  return Date.now()
})
