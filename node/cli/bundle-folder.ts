/** Proof bundles as folders of three files. A folder appears whole and durable, or not at all. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { BUNDLE_FILES, type Bundle } from '../../src/light/bundle.ts'
import { ENTRY_BYTES_MAX, NOTE_BYTES_MAX, POLICY_BYTES_MAX } from '../../src/limits.ts'
import { syncFolder, writeDurably } from '../durable-file.ts'
import { CliError } from './exit.ts'
import { readInput, reasonOf } from './files.ts'

const BYTES_MAX = { entry: ENTRY_BYTES_MAX, proof: NOTE_BYTES_MAX, policy: POLICY_BYTES_MAX } as const

/** Reads the bundle in `dir`; `policyPath` takes the place of the policy that lies beside it. */
export async function readBundleFolder(
  dir: string,
  policyPath = join(dir, BUNDLE_FILES.policy),
): Promise<Bundle> {
  // One after the other: of several missing files, the message always names the first.
  const entry = await readInput(join(dir, BUNDLE_FILES.entry), BYTES_MAX.entry)
  const proof = await readInput(join(dir, BUNDLE_FILES.proof), BYTES_MAX.proof)
  const policy = await readInput(policyPath, BYTES_MAX.policy)
  return { entry, proof, policy }
}

/**
 * Writes `bundle` as the folder `dir`, which must be absent or empty. `check` is called with what the disk then
 * holds, before the folder gets its name; if it throws, nothing is left behind.
 */
export async function writeBundleFolder(
  dir: string,
  bundle: Bundle,
  check: (written: Bundle) => Promise<void>,
): Promise<void> {
  await refuseFilled(dir)
  const parent = dirname(resolve(dir))
  const draft = join(parent, `.${basename(resolve(dir))}.${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(parent, { recursive: true })
    await mkdir(draft)
    for (const part of ['entry', 'proof', 'policy'] as const) {
      await writeDurably(join(draft, BUNDLE_FILES[part]), bundle[part])
    }
    await check(await readBundleFolder(draft))
    await rename(draft, dir)
    await syncFolder(parent)
  } catch (cause) {
    await rm(draft, { recursive: true, force: true })
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    throw new CliError('file', `${dir} could not be written: ${reasonOf(cause)}.`, { dir }, { cause })
  }
}

/** Also before the node is asked: nobody should wait for a proof that cannot be put anywhere. */
export async function refuseFilled(dir: string): Promise<void> {
  const names = await readdir(dir).catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return []
    throw new CliError('file', `${dir} could not be read: ${reasonOf(cause)}.`, { dir }, { cause })
  })
  if (names.length > 0) {
    throw new CliError('file', `${dir} is not empty: a proof goes into a new folder of its own.`, { dir })
  }
}
