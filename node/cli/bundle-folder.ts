/** Proof bundles as folders of three to five files. A folder appears whole and durable, or not at all. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BUNDLE_BYTES_MAX, BUNDLE_FILES, BUNDLE_PARTS, type Bundle } from '../../src/light/bundle.ts'
import { draftOf, syncFolder, writeDurably } from '../durable-file.ts'
import { CliError } from './exit.ts'
import { isAbsent, readInput, reasonOf } from './files.ts'

/** The files of a bundle, by name. */
export function filesOf(bundle: Bundle): string[] {
  return BUNDLE_PARTS.filter((part) => bundle[part] !== undefined).map((part) => BUNDLE_FILES[part])
}

/** Where the files of the bundle in `dir` lie. */
export function bundlePaths(dir: string): Record<keyof Bundle, string> {
  const paths = BUNDLE_PARTS.map((part) => [part, join(dir, BUNDLE_FILES[part])] as const)
  return Object.fromEntries(paths) as Record<keyof Bundle, string>
}

/** Reads the bundle in `dir`; `policyPath` takes the place of the policy that lies beside it. */
export async function readBundleFolder(
  dir: string,
  policyPath = join(dir, BUNDLE_FILES.policy),
): Promise<Bundle> {
  // One after the other: of several missing files, the message always names the first.
  const entry = await readInput(join(dir, BUNDLE_FILES.entry), BUNDLE_BYTES_MAX.entry)
  const proof = await readInput(join(dir, BUNDLE_FILES.proof), BUNDLE_BYTES_MAX.proof)
  const records = await readInput(join(dir, BUNDLE_FILES.records), BUNDLE_BYTES_MAX.records).catch(ifAbsent)
  const policy = await readInput(policyPath, BUNDLE_BYTES_MAX.policy)
  const updates = await readInput(join(dir, BUNDLE_FILES.updates), BUNDLE_BYTES_MAX.updates).catch(ifAbsent)
  return { entry, proof, ...(records && { records }), policy, ...(updates && { updates }) }
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
  const draft = draftOf(dir)
  const parent = dirname(draft)
  try {
    await mkdir(parent, { recursive: true })
    await mkdir(draft)
    for (const part of BUNDLE_PARTS) {
      const bytes = bundle[part]
      if (bytes) await writeDurably(join(draft, BUNDLE_FILES[part]), bytes)
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
    if (isAbsent(cause)) return []
    throw new CliError('file', `${dir} could not be read: ${reasonOf(cause)}.`, { dir }, { cause })
  })
  if (names.length > 0) {
    throw new CliError('file', `${dir} is not empty: a proof goes into a new folder of its own.`, { dir })
  }
}

/** Records and updates are left out where there are none. */
function ifAbsent(error: unknown): undefined {
  if (!(error instanceof CliError && isAbsent(error.cause))) throw error
}
