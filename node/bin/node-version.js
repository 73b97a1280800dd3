/**
 * Which Node runs us, and where a newer one is. Plain JavaScript that Node 14 can read: it must reach the point
 * where it can say what is missing.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** 24.7 is the first to offer ML-DSA and ML-KEM in node:crypto and to run TypeScript without a flag. */
const NEEDED = [24, 7]

export const TOO_OLD =
  `Quantum Audit Trail needs Node ${NEEDED.join('.')} or newer, this is ${process.version}: ` +
  'run "npm ci" with install scripts allowed, which brings one, or upgrade Node.'

/** Whether `version`, such as v24.7.0, is new enough. */
export function isNewEnough(version) {
  const [major, minor] = version.slice(1).split('.').map(Number)
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
}

/** The executable of the npm package `node`, looked up from this package's root upwards as npm may hoist it. */
export function findNode() {
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  let folder = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
  for (;;) {
    const candidate = join(folder, 'node_modules', 'node', 'bin', file)
    if (existsSync(candidate)) return candidate
    const parent = dirname(folder)
    if (parent === folder) return undefined
    folder = parent
  }
}
