/**
 * A log that nobody can fill. What a peer or a client can bring about again and again is logged the first time at
 * once, and after that once a minute with how often it came.
 */
import type { Logger } from './logger.ts'

export const LOG_WINDOW_MS = 60_000
/** Of kinds and peers together there are far fewer; beyond it the oldest is forgotten. */
const WINDOWS_MAX = 1_024
const LEVELS = ['info', 'warn', 'error'] as const
/** By whom a line was brought about; a field of any other name, such as a stranger's id, opens no window of its own. */
const PEER_FIELDS = ['peer', 'validator', 'accused', 'kme', 'from'] as const

type Level = (typeof LEVELS)[number]
type Facts = Readonly<Record<string, unknown>>

interface Window {
  readonly sinceMs: number
  lines: number
  /** Those that were not logged, and the last of them. */
  left: number
  last?: { readonly level: Level; readonly facts: Facts; readonly message: string }
}

export interface BoundedLog extends Logger {
  /** Logs what has waited for a minute. Called now and then. */
  flush(): void
}

/**
 * `logger` (itself, if it is bounded already) with lines of one kind counted together: of one message (or one `kind`,
 * where facts have that), one peer and one `code`. The first `burst` of them in a minute are logged as they come.
 */
export function boundedLog(logger: Logger, elapsed: () => number, burst = 1): BoundedLog {
  if (isBounded(logger)) return logger
  const windows = new Map<string, Window>()

  const flush = () => {
    const now = elapsed()
    for (const [key, { sinceMs, left, last }] of windows) {
      if (now - sinceMs < LOG_WINDOW_MS) continue
      windows.delete(key)
      if (!last) continue
      logger[last.level]({ ...last.facts, times: left }, last.message)
      // It counts as the first of the next minute.
      windows.set(key, { sinceMs: now, lines: burst, left: 0 })
    }
  }

  const write = (level: Level, facts: Facts, message: string) => {
    flush()
    const peer = PEER_FIELDS.map((field) => facts[field]).find((value) => value !== undefined)
    const key = JSON.stringify([facts.kind ?? message, peer, facts.code])
    let window = windows.get(key)
    if (!window) {
      window = { sinceMs: elapsed(), lines: 0, left: 0 }
      windows.set(key, window)
      if (windows.size > WINDOWS_MAX) windows.delete(windows.keys().next().value!)
    }
    if (window.lines < burst) {
      window.lines++
      logger[level](facts, message)
    } else {
      window.left++
      window.last = { level, facts, message }
    }
  }

  const bounded: BoundedLog = Object.create(logger)
  for (const level of LEVELS) {
    bounded[level] = (facts: unknown, message?: string) => {
      if (typeof facts === 'string') write(level, {}, facts)
      else write(level, (facts ?? {}) as Facts, message ?? '')
    }
  }
  bounded.flush = flush
  known.add(bounded)
  return bounded
}

const known = new WeakSet<Logger>()

/** Parts of one node share a log, so that what waits in it is logged although its own part has nothing more to say. */
function isBounded(logger: Logger): logger is BoundedLog {
  return known.has(logger)
}
