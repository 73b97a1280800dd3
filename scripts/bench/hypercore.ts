/**
 * What a JavaScript user would pick for a signed log alone: hypercore, one writer here, and a replica in a process of
 * its own that downloads and verifies every block over TCP.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** What this bench uses of it; the package brings no types, and need not be installed. */
export interface Hypercore {
  readonly key: Buffer
  readonly length: number
  /** Blocks from the first on that are here and verified. */
  readonly contiguousLength: number
  ready(): Promise<void>
  append(block: Buffer): Promise<unknown>
  /** Noise inside, as its users have it. */
  replicate(isInitiator: boolean): Duplex
  download(range: { start: number; end: number }): unknown
  on(event: 'append' | 'download', listener: () => void): void
  close(): Promise<void>
}

type HypercoreClass = new (storage: string, key?: Buffer) => Hypercore

const BLOCK_BYTES = 1_024
/** Tried one after the other; the best counts. */
const WIDTHS = [1, 16, 64, 256]
const REPLICA = fileURLToPath(new URL('hypercore-replica.ts', import.meta.url))

/** Loads the package; undefined if it is not installed. */
export async function loadHypercore(name = 'hypercore'): Promise<HypercoreClass | undefined> {
  try {
    return ((await import(name)) as { readonly default: HypercoreClass }).default
  } catch {
    return undefined
  }
}

export async function hypercoreVersion(): Promise<string> {
  const path = createRequire(import.meta.url).resolve('hypercore/package.json')
  return (JSON.parse(await readFile(path, 'utf8')) as { readonly version: string }).version
}

export interface HypercoreResult {
  /** Appends a second until replicated and verified, at the best number of appends under way. */
  readonly perS: number
  readonly inFlight: number
}

export async function measureHypercore(
  Core: HypercoreClass,
  dir: string,
  seconds: number,
): Promise<HypercoreResult> {
  const writer = new Core(join(dir, 'hypercore-writer'))
  await writer.ready()
  const replica = fork(REPLICA, [join(dir, 'hypercore-replica'), writer.key.toString('hex')])
  let verified = 0
  try {
    const [port] = (await once(replica, 'message')) as [number]
    const waiting = new Set<() => void>()
    replica.on('message', (length) => {
      verified = Number(length)
      for (const check of waiting) check()
    })
    replicate(writer, connect(port, '127.0.0.1'), true)
    const untilVerified = (length: number) =>
      new Promise<void>((resolve) => {
        const check = () => {
          if (verified < length) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      })
    let best: HypercoreResult = { perS: 0, inFlight: 0 }
    for (const inFlight of WIDTHS) {
      const perS = await appendFor(writer, inFlight, (seconds * 1_000) / WIDTHS.length, untilVerified)
      if (perS > best.perS) best = { perS, inFlight }
    }
    return best
  } finally {
    replica.kill('SIGKILL')
    await writer.close()
  }
}

/** Each block is an append of its own, with a signature of its own. */
async function appendFor(
  writer: Hypercore,
  inFlight: number,
  ms: number,
  untilVerified: (length: number) => Promise<void>,
): Promise<number> {
  const block = Buffer.alloc(BLOCK_BYTES, 7)
  const before = writer.length
  const startMs = performance.now()
  const append = async () => {
    while (performance.now() - startMs < ms) await writer.append(block)
  }
  await Promise.all(Array.from({ length: inFlight }, append))
  await untilVerified(writer.length)
  return ((writer.length - before) * 1_000) / (performance.now() - startMs)
}

/** Joins a log to a connection. Either end may close it when the measurement is over. */
export function replicate(core: Hypercore, socket: Socket, isInitiator: boolean): void {
  const stream = core.replicate(isInitiator)
  for (const end of [stream, socket]) end.on('error', () => {})
  stream.pipe(socket).pipe(stream)
}
