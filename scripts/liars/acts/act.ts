/** One thing that a hostile member does. */
import type { Member } from '../hostile/member.ts'

export interface Act {
  readonly name: string
  /** What it does, in one sentence. */
  readonly says: string
  /** It shows an honest node two signatures that exclude each other, so evidence must name the liar. */
  readonly convicts?: true
  /** Only where links are keyed by QKD. */
  readonly qkd?: true
  /** Throws NotTold if it could not be carried out. */
  run(member: Member): Promise<void>
}
