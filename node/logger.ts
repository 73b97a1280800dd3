/** Structured logs of the node. Secrets never come here; the redaction is a second line of defence. */
import { destination, type Logger, pino } from 'pino'

export type { Logger }

/** Logs JSON lines to standard error, so that standard output stays for results. */
export function createLogger(name: string, level: string): Logger {
  const redact = ['*.token', '*.passphrase', '*.seed', '*.priv', 'token', 'passphrase', 'seed', 'priv']
  return pino({ name, level, redact }, destination({ dest: 2, sync: true }))
}
