/** Numbers as the benches count, round and print them. */

export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits))
}

/** A rate or a size without digits, anything small with enough of them to tell two runs apart. */
export function significant(value: number): number {
  const size = Math.abs(value)
  return round(value, size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** The value below which the share `p` of an ascending list lies; NaN of an empty one. */
export function percentile(ascending: readonly number[], p: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * p))] ?? Number.NaN
}

export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** Percentiles of a list in any order. */
export function spread(values: readonly number[]): Spread {
  const ascending = values.toSorted((a, b) => a - b)
  const at = (p: number) => percentile(ascending, p)
  return { count: ascending.length, p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max: at(1) }
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** NaN of an empty list. */
export function highest(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : Math.max(...values)
}
