/**
 * What an operator is told about a link, by the blocks it makes. One block above the limit is an ALARM; two of these in
 * a row, or three without a key, and the link is DOWN: keys that are there already stay secret, but are not handed out
 * any more. So it is at once if hardly any light arrives. The next good block brings it back.
 */
import type { BlockReport } from './protocol.ts'
import { total } from './sifting.ts'

export const HEALTHS = ['OK', 'WARN', 'ALARM', 'DOWN'] as const
export type Health = (typeof HEALTHS)[number]

const ABORTS_TO_DOWN = 2
const KEYLESS_TO_DOWN = 3
/** Standard deviations above what is usual on this link. */
const WARN_SIGMAS = 5
/** Of the detections that make a block. Fewer, in the time that a block may take, are dark counts of a cut fibre. */
const LIGHT_SHARE_MIN = 0.01

export class LinkHealth {
  readonly #blockBits: number
  #health: Health = 'OK'
  #aborts = 0
  #keyless = 0
  /** Of all good blocks: what is usual. */
  #errors = 0
  #sample = 0

  /** @param blockBits n_X of the link's profile */
  constructor(blockBits: number) {
    this.#blockBits = blockBits
  }

  get health(): Health {
    return this.#health
  }

  /** The health after one more block; a block that came to no report, because its messages were changed, is none. */
  see(report: BlockReport | undefined): Health {
    const aborted = report?.result === 'qber_abort'
    const good = report?.result === 'ok' || report?.result === 'pool_full'
    this.#aborts = aborted ? this.#aborts + 1 : 0
    this.#keyless = good ? 0 : this.#keyless + 1
    const dark = report !== undefined && total(report.counts.key) < LIGHT_SHARE_MIN * this.#blockBits
    if (dark || this.#aborts >= ABORTS_TO_DOWN || this.#keyless >= KEYLESS_TO_DOWN) this.#health = 'DOWN'
    else if (aborted) this.#health = 'ALARM'
    else if (!report || !good || this.#unusual(report)) this.#health = 'WARN'
    else {
      this.#health = 'OK'
      this.#errors += total(report.counts.testErrors)
      this.#sample += total(report.counts.test)
    }
    return this.#health
  }

  #unusual({ qber, counts }: BlockReport): boolean {
    if (this.#sample === 0) return false
    const usual = this.#errors / this.#sample
    const sample = total(counts.test)
    // Both the usual rate and this one are estimates.
    const sigma = Math.sqrt(usual * (1 - usual) * (1 / sample + 1 / this.#sample))
    return qber > usual + WARN_SIGMAS * sigma
  }
}
