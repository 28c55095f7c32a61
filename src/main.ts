#!/usr/bin/env node
// The program is one file, which loads three times as fast as the thousand modules it is made of. A service that has
// modules of workflow authors is loaded module by module all the same: they have to share its one copy of Effect.
const command = process.argv[2]
const serves = command === undefined || command === "serve" || command.startsWith("-")
const isShared = serves && (process.env["SMITHERS_WORKFLOWS"] ?? "") !== ""

await import(new URL(isShared ? "./program.js" : "./bundle/program.js", import.meta.url).href)
