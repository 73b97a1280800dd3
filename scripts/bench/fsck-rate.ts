/** How fast `qat fsck` verifies the store of a stopped node: the whole command, as an operator runs it. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const QAT = fileURLToPath(new URL('../../node/bin/qat.js', import.meta.url))

/** Entries a second. Throws if the store is not sound. */
export async function fsckRate(dir: string): Promise<number> {
  const startMs = performance.now()
  const { stdout } = await promisify(execFile)(process.execPath, [QAT, 'fsck', dir, '--json'])
  const seconds = (performance.now() - startMs) / 1_000
  const { entries } = JSON.parse(stdout) as { readonly entries: number }
  return entries / seconds
}
