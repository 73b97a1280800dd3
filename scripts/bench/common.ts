/** What both benchmarks load the nodes with, and how they print it. */
import type { JsonObject } from '../../src/json.ts'

export const NODES = 4
const DATA_BYTES = 256

export function benchEvent(id: string): JsonObject {
  return {
    specversion: '1.0',
    id,
    source: 'https://bench.example',
    type: 'example.bench.event',
    subject: `subject-${id.length}`,
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: { text: 'x'.repeat(DATA_BYTES) },
  }
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits))
}
