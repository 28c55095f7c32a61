import { Effect, Exit } from "effect"
import type { Landed, Ticket } from "../Lookup.ts"

/** Beyond these, callers execute by themselves. */
const maxFlights = 10_000
const maxWaiting = 100_000

/** Executions of one key at once, after many have failed. */
const maxWidth = 64

/** What one who boards is told. */
type Signal =
  | { readonly _tag: "Landed"; readonly landed: Landed }
  /** Execute; `first`: nobody did before. */
  | { readonly _tag: "Lead"; readonly first: boolean }

interface Waiter {
  readonly ticket: Ticket
  readonly resume: (signal: Effect.Effect<Signal>) => void
}

interface Flight {
  readonly leaders: Set<Ticket>
  readonly waiting: Set<Waiter>
  /** How many may lead at once. */
  width: number
}

/**
 * One execution at a time per key.
 *
 *     board ──► nobody flies ──► Lead ──► execution ──► stored ──► land: everybody who waits gets the result
 *       │                          ▲          │
 *       └──► somebody flies ──► wait          └─► failed: two of those who wait lead next, then four …
 *                                                 cancelled: one of those who wait leads next
 *
 * The doubling: one stroke of bad luck costs few executions, and a task that always fails is not executed one by one.
 */
export class Flights {
  private readonly flights = new Map<string, Flight>()
  private waiting = 0

  has(key: string): boolean {
    return this.flights.has(key)
  }

  /** Gives the result to all who wait for it. */
  land(key: string, result: Landed): void {
    const flight = this.flights.get(key)
    if (flight === undefined) return
    this.flights.delete(key)
    this.waiting -= flight.waiting.size
    const landed = Effect.succeed<Signal>({ _tag: "Landed", landed: result })
    for (const waiter of flight.waiting) waiter.resume(landed)
  }

  /** An execution is over without a result for the others; twice for one ticket is once. */
  end(ticket: Ticket, failed: boolean): void {
    const flight = this.flights.get(ticket.key)
    if (flight === undefined || !flight.leaders.delete(ticket)) return
    if (failed) flight.width = Math.min(flight.width * 2, maxWidth)
    for (const waiter of flight.waiting) {
      if (flight.leaders.size >= flight.width) break
      flight.waiting.delete(waiter)
      this.waiting--
      flight.leaders.add(waiter.ticket)
      waiter.resume(Effect.succeed<Signal>({ _tag: "Lead", first: false }))
    }
    if (flight.leaders.size === 0) this.flights.delete(ticket.key)
  }

  private board(ticket: Ticket): Effect.Effect<Signal> {
    return Effect.suspend(() => {
      const flight = this.flights.get(ticket.key)
      const full = flight === undefined ? this.flights.size >= maxFlights : this.waiting >= maxWaiting
      if (flight === undefined || full) {
        if (!full) this.flights.set(ticket.key, { leaders: new Set([ticket]), waiting: new Set(), width: 1 })
        return Effect.succeed<Signal>({ _tag: "Lead", first: true })
      }
      return Effect.async<Signal>((resume) => {
        const waiter: Waiter = { ticket, resume }
        flight.waiting.add(waiter)
        this.waiting++
        return Effect.sync(() => {
          if (flight.waiting.delete(waiter)) this.waiting--
        })
      })
    })
  }

  /**
   * Executes `lead`, or waits for the one who does and goes on with `follow`. Whoever is the first looks with `again`
   * whether the result came between lookup and boarding.
   */
  fly<A, E, R, E2, R2>(
    ticket: Ticket,
    options: {
      readonly lead: Effect.Effect<A, E, R>
      readonly follow: (landed: Landed) => Effect.Effect<A, E2, R2>
      readonly again: Effect.Effect<Landed | undefined>
    }
  ): Effect.Effect<A, E | E2, R | R2> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        // Who was told to lead and is interrupted before hearing it hands the lead on.
        Effect.onInterrupt(restore(this.board(ticket)), () => Effect.sync(() => this.end(ticket, false))),
        (signal): Effect.Effect<A, E | E2, R | R2> => {
          if (signal._tag === "Landed") return restore(options.follow(signal.landed))
          const lead = Effect.onExit(restore(options.lead), (exit) =>
            Effect.sync(() => this.end(ticket, !Exit.isInterrupted(exit))))
          return !signal.first ? lead : Effect.flatMap(options.again, (found): Effect.Effect<A, E | E2, R | R2> => {
            if (found === undefined) {
              return lead
            }
            this.land(ticket.key, found)
            return restore(options.follow(found))
          })
        }
      )
    )
  }
}
