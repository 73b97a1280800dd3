/** What the nodes are loaded with: entries of so many events with so much data each, signed before the clock starts. */
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { FormatError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { preparePost } from './lean-http.ts'

export const NODES = 4

export interface Workload {
  /** Events an entry. */
  readonly events: number
  /** Bytes of data an event; its attributes add some 230. */
  readonly dataBytes: number
}

/** The one that the throughput of one-event entries and every latency is measured with. */
export const SINGLE: Workload = { events: 1, dataBytes: 256 }
export const BATCH32: Workload = { events: 32, dataBytes: 256 }

export function nameOf({ events, dataBytes }: Workload): string {
  const size = dataBytes >= 1_024 ? `${dataBytes / 1_024} KB` : `${dataBytes} B`
  return `${events} × ${size}`
}

export function benchEvent(id: string, dataBytes = SINGLE.dataBytes): JsonObject {
  return {
    specversion: '1.0',
    id,
    source: 'https://bench.example',
    type: 'example.bench.event',
    subject: `subject-${id.length}`,
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: { text: 'x'.repeat(dataBytes) },
  }
}

/** The entry with this name; its events are named after it. */
export function benchEntry(name: string, signer: Signer, { events, dataBytes } = SINGLE): Promise<Entry> {
  const list = Array.from({ length: events }, (_, i) => benchEvent(`${name}-${i}`, dataBytes))
  const payload = utf8(JSON.stringify(events === 1 ? list[0] : list))
  return signEntry(events === 1 ? PAYLOAD_TYPES.event : PAYLOAD_TYPES.batch, payload, signer)
}

/** Whether such an entry is short enough for a leaf. */
export async function fits(workload: Workload): Promise<boolean> {
  const signer = opensslSuite.signer('ML-DSA-65', new Uint8Array(32))
  try {
    const { bytes } = await benchEntry('w'.repeat(32), signer, workload)
    return bytes.length <= ENTRY_BYTES_MAX
  } catch (error) {
    // The events alone are too long.
    if (error instanceof FormatError) return false
    throw error
  }
}

/** Enough that the thread pool never waits for the event loop. */
const SIGNED_AT_ONCE = 32
/** As long as a node lets a call wait. */
const WAIT_MS = 60_000

export interface SignOptions {
  /** Distinguishes these entries from all others of the run. */
  readonly name: string
  readonly workload: Workload
  readonly count: number
  readonly signer: Signer
  /** The stage that a submission waits for: the same for all, or by its number. */
  readonly stage: 'ordered' | 'final' | ((number: number) => 'ordered' | 'final')
  readonly onProgress?: (done: number) => void
}

/** Signs entries on all cores and wraps each as the HTTP request that submits it. */
export async function signRequests(options: SignOptions): Promise<Buffer[]> {
  const { name, workload, count, signer, stage, onProgress } = options
  const requests: Buffer[] = new Array(count)
  let next = 0
  let done = 0
  const worker = async () => {
    while (next < count) {
      const i = next++
      const { bytes } = await benchEntry(`${name}-${i}`, signer, workload)
      const wait = typeof stage === 'string' ? stage : stage(i)
      const call = `{"jsonrpc":"2.0","id":${i},"method":"entry.submit","params":{"wait":"${wait}","timeoutMs":${WAIT_MS},"entry":`
      requests[i] = preparePost('/rpc', Buffer.concat([Buffer.from(call), bytes, Buffer.from('}}')]))
      onProgress?.(++done)
    }
  }
  await Promise.all(Array.from({ length: SIGNED_AT_ONCE }, worker))
  return requests
}
