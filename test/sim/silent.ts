/** Metrics that count nothing and a logger that writes to the transcript, for nodes that nobody scrapes or reads. */
import type { Logger } from '../../node/logger.ts'
import type { Metrics } from '../../node/metrics.ts'

const nothing = () => {}
const instrument = { inc: nothing, dec: nothing, set: nothing, observe: nothing, startTimer: () => nothing }

/** Every metric there is or will be. */
export const noMetrics = new Proxy({}, { get: () => instrument }) as Metrics

export interface LogFields {
  readonly err?: unknown
  readonly error?: unknown
  readonly code?: unknown
}

/** `onLine` hears warnings and worse: the level, the sentence and the fields. */
export function listeningLogger(
  onLine: (level: 'warn' | 'error' | 'fatal', text: string, fields: LogFields) => void,
): Logger {
  const line = (level: 'warn' | 'error' | 'fatal') => (fields: object | string, text?: string) =>
    typeof fields === 'string' ? onLine(level, fields, {}) : onLine(level, text ?? '', fields)
  const logger = {
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: line('warn'),
    error: line('error'),
    fatal: line('fatal'),
  }
  return logger as unknown as Logger
}
