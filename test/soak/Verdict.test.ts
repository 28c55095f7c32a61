import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Evidence } from "../../scripts/soak/Evidence.ts"
import { type Acknowledged, judge, judgeFinished, nothingYet } from "../../scripts/soak/Verdict.ts"

/** A run of two tasks that is all right: the first was executed twice, because its process died. */
const good: Evidence = {
  status: "finished",
  problems: [],
  events: [
    { seq: 1, type: "RunStarted", nodeId: null, attempt: null, timestampMs: 1 },
    { seq: 2, type: "NodeFinished", nodeId: "a", attempt: 2, timestampMs: 2 },
    { seq: 3, type: "NodeFinished", nodeId: "b", attempt: 1, timestampMs: 3 },
    { seq: 4, type: "RunFinished", nodeId: null, attempt: null, timestampMs: 4 }
  ],
  nodes: [
    { nodeId: "a", kind: "task", state: "finished", attempt: 2, output: "{\"nonce\":\"a2\"}" },
    { nodeId: "b", kind: "task", state: "finished", attempt: 1, output: "{\"nonce\":\"b1\"}" }
  ],
  attempts: [
    { nodeId: "a", attempt: 1, state: "cancelled" },
    // The second one of `a` is told by its node; `b` gave a heartbeat, so its one has a row.
    { nodeId: "b", attempt: 1, state: "finished" }
  ],
  lines: [
    { nodeId: "a", attempt: 1, pid: 10, nonce: "a1" },
    { nodeId: "a", attempt: 2, pid: 11, nonce: "a2" },
    { nodeId: "b", attempt: 1, pid: 11, nonce: "b1" }
  ]
}

const seen = good.events.map(({ nodeId, seq, timestampMs, type }) => ({ seq, event: type, nodeId, timestampMs }))

const verdict = (change: Partial<Evidence>, before: Acknowledged = nothingYet) =>
  judge({ ...good, ...change }, before, seen, true).violations.join("\n")

it.effect("what is right is not complained of", () =>
  Effect.sync(() => {
    const { acknowledged } = judge(good, nothingYet, seen, true)
    assert.strictEqual(verdict({}, acknowledged), "")
    assert.deepStrictEqual(judgeFinished(good, seen, 2), [])
  }))

it.effect("every kind of loss and repetition is named", () =>
  Effect.sync(() => {
    const { acknowledged } = judge(good, nothingYet, seen, true)
    const [first, second, third, last] = good.events
    const again = { nodeId: "b", attempt: 1, pid: 12, nonce: "b2" }
    const cases: ReadonlyArray<readonly [string, RegExp]> = [
      [verdict({ lines: [...good.lines, again] }, acknowledged), /b was executed again after it had been acknowledged/],
      [verdict({ lines: [...good.lines, { ...again, pid: 11 }] }), /b was executed twice by one process/],
      [verdict({ lines: good.lines.slice(0, 2) }), /the stored result of b is not that of its last execution/],
      [verdict({ events: [first!, second!, last!] }), /event 4 stands at place 3/],
      [verdict({ events: [first!, second!, second!, third!, last!] }), /a is finished and has 2 NodeFinished/],
      [verdict({ events: good.events.slice(0, 3) }, acknowledged), /RunFinished null null 4 has changed/],
      [verdict({ events: [...good.events.slice(0, 3), { ...last!, timestampMs: 9 }] }), /event 4 was seen/],
      [verdict({ nodes: [good.nodes[0]!] }, acknowledged), /b was acknowledged and is not any more/],
      [verdict({ nodes: [good.nodes[0]!, { ...good.nodes[1]!, attempt: 3 }] }), /b: attempts 1, 1 and 3 differ/],
      [verdict({ attempts: good.attempts.slice(1) }), /a has the attempts $/m],
      [
        verdict({ attempts: [good.attempts[0]!, { ...good.attempts[1]!, state: "failed" }] }),
        /b has the attempts 1 failed$/m
      ],
      [
        verdict({ attempts: [...good.attempts, { ...good.attempts[1]!, attempt: 2 }] }),
        /b has the attempts 1 finished, 2 finished$/m
      ],
      [verdict({ status: undefined }), /the launch was acknowledged and the run is not there/],
      [verdict({ status: "paused" }), /the run is paused/],
      [verdict({ problems: ["integrity_check: bad"] }), /integrity_check: bad/],
      [judgeFinished(good, seen.slice(1), 2).join(), /the subscriber has 3 events, 4 are stored/],
      [judgeFinished(good, seen, 3).join(), /2 of 3 tasks are finished/]
    ]
    for (const [violations, expected] of cases) assert.match(violations, expected)
  }))
