import fs from "node:fs"

/**
 * Swaps a file and a directory of a tree for links to the outside and back, as fast as it can, until it is killed or its
 * parent is gone. It never writes but to the tree and a directory of its own.
 */
const [, , tree = "", outside = "", own = "", good = ""] = process.argv

const victim = `${tree}/victim`
const directory = `${tree}/dir`
const parent = process.ppid
fs.symlinkSync(outside, `${own}/link`)

const attempt = (act: () => void) => {
  try {
    act()
  } catch {
    // The other side has been faster.
  }
}

const round = () => {
  for (let turn = 0; turn < 500; turn++) {
    attempt(() => {
      fs.symlinkSync(`${outside}/secret`, `${own}/file`)
      fs.renameSync(`${own}/file`, victim)
    })
    attempt(() => {
      fs.writeFileSync(`${own}/file`, good)
      fs.renameSync(`${own}/file`, victim)
    })
    attempt(() => fs.renameSync(directory, `${own}/parked`))
    attempt(() => fs.renameSync(`${own}/link`, directory))
    attempt(() => fs.renameSync(directory, `${own}/link`))
    attempt(() => fs.renameSync(`${own}/parked`, directory))
  }
  if (process.ppid === parent) setImmediate(round)
}

process.stdout.write("ready\n")
round()
