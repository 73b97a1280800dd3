/** A devnet that has had a past before it is started: so a large ledger is measured without living through it. */
import { readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type LayoutOptions, openLayout } from '../../node/devnet/layout.ts'
import { DEVNET_SUBMITTER } from '../../node/devnet/names.ts'
import { FILES } from '../../node/folder.ts'
import { QatError } from '../../src/errors.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { bar, type Line } from '../support/terminal.ts'
import { signerAt } from './cluster.ts'
import { writeHistory } from './history.ts'
import { benchEntry } from './workload.ts'

/** A bench of more is a mistake in the command line. */
export const ENTRIES_MAX = 10_000_000
/** A one-event entry on disk, once: block, indexes and tree; while tables are merged, some are there twice. */
const BYTES_PER_ENTRY = 10_000
/** Left for all else, such as what the nodes write while they are measured. */
const RESERVE_BYTES = 4 * 2 ** 30

export interface PastOptions {
  readonly layout: LayoutOptions
  /** How many nodes, from the first on, were there; the others begin empty. */
  readonly present: number
  readonly entries: number
  readonly blockEntries: number
  readonly line: Line
}

export interface Past {
  readonly nodes: Awaited<ReturnType<typeof openLayout>>['nodes']
  /** Leaves of the tree. */
  readonly size: number
  /** Signs one more entry, of a name that the past did not use. */
  readonly entry: (name: string) => Promise<Entry>
}

/** Founds the ledger and writes its past. Throws QatError if the disk has no room for it. */
export async function foundWithPast(options: PastOptions): Promise<Past> {
  const { layout, present, entries, blockEntries, line } = options
  const { dir } = layout
  const { nodes } = await openLayout(layout)
  const { bavail, bsize } = await statfs(dir)
  const needed = entries * BYTES_PER_ENTRY + RESERVE_BYTES
  if (bavail * bsize < needed) {
    const gib = (bytes: number) => `${Math.ceil(bytes / 2 ** 30)} GiB`
    const message = `${entries} entries take ${gib(needed)} in ${dir}; only ${gib(bavail * bsize)} are free.`
    throw new QatError('disk-full', message)
  }
  const signer = await signerAt(join(dir, `${DEVNET_SUBMITTER}.key`))
  const entry = (name: string) => benchEntry(name, signer)
  const size = await writeHistory({
    genesis: await readFile(join(dir, FILES.genesis)),
    nodes: nodes.slice(0, present),
    entries,
    blockEntries,
    entry: (number) => entry(`past-${number}`),
    onProgress: (done) => line.update(`signing a past ${bar(done, entries)}`),
  })
  line.done(`signed a past of ${entries} entries`)
  return { nodes, size, entry }
}
