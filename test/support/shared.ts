/**
 * Test vectors too large for the repository lie beside it, in `../shared`. Suites that read them go through
 * here, so that a checkout without them still passes and says in one line what it left out.
 */
import { existsSync } from 'node:fs'

const SHARED = new URL('../../../shared/', import.meta.url)

/** A `describe` over the folder `../shared/<path>`; one pending line instead of it where the folder is absent. */
export function describeShared(path: string, title: string, body: (folder: URL) => void): void {
  const folder = new URL(`${path}/`, SHARED)
  if (existsSync(folder)) describe(title, () => body(folder))
  else it(`${title} (skipped: ../shared/${path} is not here)`)
}
