/** Times of cosignatures: whole seconds since 1970, which a liar may have made any number. */
import { formatInstant } from '../json.ts'

/** The first second that RFC 3339 cannot spell: what no calendar has is no time by any clock. */
export const YEAR_10000 = 253_402_300_800

/** For people. Numbers above 2^53 − 1 are not exact here. */
export function spellTime(seconds: number): string {
  if (seconds < YEAR_10000) return `${formatInstant(1_000 * seconds).slice(0, 19)}Z`
  if (Number.isSafeInteger(seconds)) return `second ${seconds}, which is in no calendar`
  return `a second after ${Number.MAX_SAFE_INTEGER}, which is in no calendar`
}
