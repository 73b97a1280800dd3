/** The folder of a bench: temporary, on the disk that is measured, and gone however the bench ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stopRequest } from '../../node/cli/stop-request.ts'
import { say } from './figures.ts'

const INTERRUPTED = 130

export type Close = () => Promise<unknown>

/** Runs a bench. What it hands to `onClose` is closed, last first, also when it fails or is interrupted. */
export async function inFolder(
  name: string,
  bench: (dir: string, onClose: (close: Close) => void) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), `qat-${name}-`))
  const closers: Close[] = [() => rm(dir, { recursive: true, force: true })]
  const closeAll = async () => {
    for (let close = closers.pop(); close; close = closers.pop()) {
      await close().catch((error: unknown) => say(`while closing: ${error}`))
    }
  }
  let interrupted = false
  void stopRequest().then(async () => {
    interrupted = true
    await closeAll()
    process.exit(INTERRUPTED)
  })
  try {
    await bench(dir, (close) => closers.push(close))
  } catch (error) {
    // What the bench stood on has been taken from under it, and the process is about to end.
    if (interrupted) await new Promise(() => {})
    throw error
  } finally {
    await closeAll()
    process.channel?.unref()
  }
}
