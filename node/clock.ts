/** Time, handed in: the node's own clock here, a seeded one in a simulation. */

export interface Clock {
  /** Milliseconds since 1970; may jump. For what people and other nodes read. */
  now(): number
  /** Milliseconds that only grow. For measuring and waiting. */
  elapsed(): number
  /** Calls `fn` once after `ms`; returns what cancels it. */
  after(ms: number, fn: () => void): () => void
  /** Calls `fn` every `ms`; returns what ends it. */
  every(ms: number, fn: () => void): () => void
  /** Calls `fn` when the events at hand have been seen to. */
  soon(fn: () => void): void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
  every(ms, fn) {
    const timer = setInterval(fn, ms)
    return () => clearInterval(timer)
  },
  soon: (fn) => void setImmediate(fn),
}
