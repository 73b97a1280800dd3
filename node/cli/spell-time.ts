/** Times of cosignatures as people read them. */
import { formatInstant } from '../../src/json.ts'

/** The first second that RFC 3339 cannot spell. */
const YEAR_10000 = 253_402_300_800

/** Seconds since 1970; a liar may have signed any number, of which those above 2^53 − 1 are not exact here. */
export function spellTime(seconds: number): string {
  if (seconds < YEAR_10000) return `${formatInstant(1_000 * seconds).slice(0, 19)}Z`
  if (Number.isSafeInteger(seconds)) return `second ${seconds}, which is in no calendar`
  return `a second after ${Number.MAX_SAFE_INTEGER}, which is in no calendar`
}
