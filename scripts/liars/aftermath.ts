/** After the acts: an outage is over when clients are served again, not when the liar goes. */
import type { Availability } from '../chaos/availability.ts'
import { UNAVAILABLE_MS_MAX } from './judge.ts'

/** So long clients go on asking for what they have not been told. */
const DRAIN_MS = 60_000
/** So long what was taken may take to become final. */
const SERVED_MS = 60_000

export interface Aftermath {
  readonly availability: Pick<Availability, 'end'>
  /** Resolves when an entry that was submitted after the acts is final, at the latest after `ms`. */
  answersAgain(ms: number): Promise<unknown>
  /** Nobody submits from here on. */
  stopLoad(): Promise<unknown>
  /** Resolves when every submission is answered, at the latest soon after `ms`. */
  drain(ms: number): Promise<unknown>
  /** Resolves when all that nodes took is final, at the latest after `ms`. */
  served(ms: number): Promise<unknown>
}

/** Waits for the last client; the time without service counts until then. */
export async function untilServed(aftermath: Aftermath): Promise<void> {
  await aftermath.answersAgain(UNAVAILABLE_MS_MAX)
  await aftermath.stopLoad()
  await aftermath.drain(DRAIN_MS)
  await aftermath.served(SERVED_MS)
  aftermath.availability.end()
}
