/** Structured logs of the node. Secrets never come here; the redaction is a second line of defence. */
import { destination, type Logger, pino } from 'pino'

export type { Logger }

/** Kept while they cannot be written. */
const WAITING_BYTES_MAX = 1_048_576

/**
 * Logs JSON lines to standard error, so that standard output stays for results. A log that cannot be written, on a
 * full disk or because nobody reads it any more, is no reason to stop: lines wait, and those that find no room are lost.
 */
export function createLogger(name: string, level: string): Logger {
  const redact = ['*.token', '*.passphrase', '*.seed', '*.priv', 'token', 'passphrase', 'seed', 'priv']
  const out = destination({ dest: 2, sync: true, maxLength: WAITING_BYTES_MAX })
  out.on('error', () => undefined)
  return pino({ name, level, redact }, out)
}
