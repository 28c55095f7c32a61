import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import fs from "node:fs"
import { bubblewrapWith, run } from "./support.ts"

// Ways to outlive one's sandbox. A process is found on the host by a word in its command line.

const missing = ["/usr/bin/bwrap", "/usr/bin/perl"].filter((file) => !fs.existsSync(file))
if (missing.length > 0) console.warn(`SKIPPED: escapes need ${missing.join(", ")}.`)

const found = (word: string): ReadonlyArray<number> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(word)
    } catch {
      return false
    }
  })

const linger = `$SIG{$_} = "IGNORE" for qw(TERM INT HUP QUIT PIPE); syswrite STDOUT, "READY\\n"; 1 while sleep 1000;`

/** Each leaves a process behind that is ready for ever, and ends itself only in the cases that say so. */
const escapes: ReadonlyArray<{ readonly name: string; readonly program: string; readonly ends: boolean }> = [
  { name: "ignores every signal that can be ignored", program: linger, ends: false },
  {
    name: "forks twice",
    program: `if (!fork) { if (!fork) { ${linger} } exit } wait; select undef, undef, undef, 0.3;`,
    ends: true
  },
  {
    name: "makes a session of its own",
    program: `use POSIX (); if (!fork) { POSIX::setsid(); ${linger} } select undef, undef, undef, 0.3;`,
    ends: true
  },
  {
    name: "makes a session and forks twice, and closes all it was given",
    program:
      `use POSIX (); if (!fork) { POSIX::setsid(); if (!fork) { syswrite STDOUT, "READY\\n"; POSIX::close($_) for 0..9; ${linger} } exit } wait; select undef, undef, undef, 0.3;`,
    ends: true
  },
  {
    name: "is stopped",
    // Its child says so once it is: a signal that comes before would still end it.
    program:
      `my $me = $$; if (!fork) { while (1) { open F, "<", "/proc/$me/stat"; last if <F> =~ /\\) T /; select undef, undef, undef, 0.01 } syswrite STDOUT, "READY\\n"; exit } kill "STOP", $$; ${linger}`,
    ends: false
  },
  {
    name: "has children that fork again whenever one dies",
    program:
      `for (1..5) { if (!fork) { while (1) { if (!fork) { select undef, undef, undef, 60; exit } wait } } } syswrite STDOUT, "READY\\n"; 1 while sleep 1000;`,
    ends: false
  }
]

const command = (program: string, word: string) => ["/usr/bin/perl", "-e", program, word]

/** Starts it in the sandbox and waits until it is ready. */
const start = (program: string, word: string) =>
  Effect.gen(function*() {
    const ready = yield* Deferred.make<void>()
    const running = yield* Effect.fork(run(command(program, word), {
      policy: { timeout: "1 minute" },
      onOutput: () => Deferred.succeed(ready, undefined)
    }))
    yield* Deferred.await(ready)
    return running
  })

describe.skipIf(missing.length > 0)("within bubblewrap", () => { // needs bwrap and perl, which set-up installs
  for (const { ends, name, program } of escapes) {
    it.live(`unconfined, a process that ${name} outlives the one that was started`, () =>
      Effect.async<void>((resume) => {
        const word = randomUUID()
        const [file = "", ...args] = command(program, word)
        const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] })
        const judge = () => {
          const left = found(word)
          // Some of them make new ones meanwhile.
          for (let all = left; all.length > 0; all = found(word)) {
            for (const pid of all) spawnSync("kill", ["-9", String(pid)], { stdio: "ignore" })
          }
          resume(Effect.sync(() => assert.isAbove(left.length, 0)))
        }
        child.stdout.once("data", () => {
          if (ends) child.once("exit", judge)
          else {
            child.kill("SIGTERM")
            setImmediate(judge)
          }
        })
      }))

    it.effect(`nothing is left of a process that ${name} when ${ends ? "its command ends" : "its time is up"}`, () =>
      Effect.gen(function*() {
        const word = randomUUID()
        const running = yield* start(program, word)
        if (!ends) yield* TestClock.adjust("1 minute")
        const outcome = yield* Fiber.join(running)
        assert.strictEqual(outcome.reason, ends ? "exited" : "timeout")
        assert.deepStrictEqual(found(word), [])
      }).pipe(Effect.provide(bubblewrapWith())))

    it.effect(`nothing is left of a process that ${name} when its task is cancelled`, () =>
      Effect.gen(function*() {
        const word = randomUUID()
        const running = yield* start(program, word)
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(found(word), [])
      }).pipe(Effect.provide(bubblewrapWith())))
  }
})
