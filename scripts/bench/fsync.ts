/** What one durable write costs here: 4 KiB appended and synced, as a store's log does. */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Spread, spread } from './figures.ts'

export async function fsyncLatency(dir: string, seconds: number): Promise<Spread> {
  const path = join(dir, 'fsync')
  const file = await open(path, 'w')
  const block = new Uint8Array(4_096).fill(7)
  const latenciesMs: number[] = []
  try {
    const endMs = performance.now() + seconds * 1_000
    while (performance.now() < endMs) {
      const startMs = performance.now()
      await file.write(block)
      await file.datasync()
      latenciesMs.push(performance.now() - startMs)
    }
  } finally {
    await file.close()
    await rm(path)
  }
  return spread(latenciesMs)
}
