/**
 * What time it is by the clocks of the validators, each of which says so in its announcements. A leader whose clock
 * runs too far ahead would seal blocks that the others refuse, and lead a cluster that stands still; so it takes the
 * time from most of them instead. Liars cannot move that time out of the range of the honest clocks unless half of
 * those heard of lie.
 */
import type { Clock } from '../clock.ts'
import type { Announcement } from './announcement.ts'

/** Two rounds of announcements: who has not been heard of by then is not waited for. */
const LISTEN_MS = 4_000
/** What a validator said longer ago than this may be true no more. */
const FRESH_MS = 6_000

export interface ValidatorClocksPorts {
  readonly name: string
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
  /** How far in the future a seal's time may lie. */
  readonly skewMs: number
  readonly voters: () => readonly string[]
  readonly announcements: () => readonly { readonly said: Announcement; readonly ageMs: number }[]
}

export class ValidatorClocks {
  readonly #ports: ValidatorClocksPorts
  readonly #since: number

  constructor(ports: ValidatorClocksPorts) {
    this.#ports = ports
    this.#since = ports.clock.elapsed()
  }

  /** For the next seal or cosignature, in ms since 1970; undefined just after the start, while too few have been heard of. */
  sealTime(): number | undefined {
    const { clock, skewMs } = this.#ports
    const read = this.#read()
    if (read === undefined && clock.elapsed() - this.#since < LISTEN_MS) return undefined
    const now = clock.now()
    return read !== undefined && now > read.least + skewMs ? read.least : now
  }

  /**
   * No honest clock is later by more than the skew, in ms since 1970. Undefined where that cannot be told: too few have
   * been heard of, or their clocks are so far apart that either half may be wrong.
   */
  latest(): number | undefined {
    const read = this.#read()
    return read && read.most - read.least <= this.#ports.skewMs ? read.most : undefined
  }

  /** Whose clock is wrong, for the operator: this node's, or that of another that is too far behind. */
  get note(): string | undefined {
    const { name, clock, skewMs, announcements } = this.#ports
    const read = this.#read()
    if (read === undefined) return undefined
    const { least, most } = read
    const by = (direction: string) => `more than ${skewMs / 1000} s ${direction} most validators' clocks`
    if (clock.now() > least + skewMs) {
      return `This node's clock is ${by('ahead of')}. Set it right; blocks take their time from the others meanwhile.`
    }
    if (clock.now() < most - skewMs) {
      return `This node's clock is ${by('behind')}, so it refuses new blocks. Set it right.`
    }
    const behind = announcements().filter((heard) => heard.ageMs < FRESH_MS && timeOf(heard) < most - skewMs)
    const voters = this.#ports.voters()
    const names = behind
      .map(({ said }) => said.name)
      .filter((other) => other !== name && voters.includes(other))
    if (names.length === 0) return undefined
    return `The clock of ${names.join(' and of ')} is ${by('behind')}, so new blocks are refused there. Set it right.`
  }

  /** The clocks that are known: the latest time that more than half have reached, the earliest that as many have not passed. */
  #read() {
    const { name, clock, voters, announcements } = this.#ports
    const said = new Map(announcements().map((heard) => [heard.said.name, timeOf(heard)]))
    said.set(name, clock.now())
    const all = voters()
    const times = all.flatMap((voter) => said.get(voter) ?? []).sort((a, b) => a - b)
    // Fewer say nothing about the others.
    const enough = times.length > all.length / 2
    const half = Math.floor(times.length / 2) + 1
    return enough ? { least: times.at(-half)!, most: times[half - 1]! } : undefined
  }
}

/** What the announcer's clock says by now. Counted from what only grows, so a jump of this node's own shows at once. */
function timeOf({ said, ageMs }: { readonly said: Announcement; readonly ageMs: number }): number {
  return said.time + ageMs
}
