/** `qat restore`: a node's store from a backup. The node catches up, and asks the others, before it votes. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { errorCode } from '../../../src/errors.ts'
import { checkMemberName } from '../../../src/ledger/names.ts'
import { useNativeCode } from '../../crypto/native.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { verifyQueue } from '../../crypto/verify-queue.ts'
import { FILES, readNodeFolder } from '../../folder.ts'
import { type BackupResult, readBackup } from '../../store/backup.ts'
import { BackupReader } from '../../store/backup-file.ts'
import type { LedgerStore } from '../../store/ledger-store.ts'
import { openLevel } from '../../store/level.ts'
import { hasStore } from '../../store/level-files.ts'
import { replaceStore } from '../../store/replace-store.ts'
import { CliError } from '../exit.ts'
import { reasonOf } from '../files.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { createProgress } from '../progress.ts'

interface Options extends GlobalOptions {
  readonly dir: string
  readonly without?: readonly string[]
  readonly force?: true
}

const EXAMPLES = `
Examples:
  qat restore ledger.qat-backup --dir ledger/alpha
  qat restore ledger.qat-backup --dir ledger/alpha --without delta

DIR is a node's folder with its keys. The backup is verified in full before anything is put in place. What the
node has voted for and cosigned since the backup is not in it: so the restored node first catches up and asks
every other validator, and only then takes part again. --without names validators that are gone for good and
need not be asked; whoever names one that is alive risks that the node contradicts itself.
`

export function addRestoreCommand(program: Command): void {
  program
    .command('restore')
    .argument('<file>', 'a file that "qat backup" wrote')
    .description("put a backup back as a node's store")
    .requiredOption('--dir <dir>', 'folder of the node, which must be stopped')
    .option('--without <name...>', 'validators that need not be asked: they are gone for good')
    .option('--force', 'put the store that is there aside, under another name')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, command: Command) =>
      restore(file, command.optsWithGlobals<Options>()),
    )
}

async function restore(file: string, { dir, without = [], force, json }: Options): Promise<void> {
  for (const name of without) checkMemberName(name)
  useNativeCode()
  const { config, genesis } = await readNodeFolder(dir)
  const folder = join(dir, FILES.store)
  await refuseStore(folder, force === true)
  const reader = await open(file)
  const progress = createProgress(json === true)
  // So that the thread pool has room for the disk among thousands of signatures.
  const suite = verifyQueue(opensslSuite).ordinary
  try {
    const { result, kept } = await replaceStore(folder, genesis, async (store) => {
      const done = await readBackup(reader, store, suite, (bytes, total) =>
        progress.update('Restoring', bytes, total, 'bytes'),
      )
      refuseStrangers(store, without, config.name)
      await store.setRecovering({ without })
      return done
    })
    progress.end()
    const keptAs = kept === undefined ? {} : { kept }
    if (json) printJson({ ...result, dir, recovering: true, without, ...keptAs })
    else printText(sheet(result, dir, kept))
  } finally {
    progress.end()
    await reader.close()
  }
}

/** A store that is there stays, unless it is asked to go; a running node's stays anyway. */
async function refuseStore(folder: string, force: boolean): Promise<void> {
  if (!(await hasStore(folder))) return
  if (!force) {
    const message = `${folder} exists. Move it away, or give --force to have it put aside.`
    throw new CliError('file', message, { path: folder })
  }
  try {
    const kv = await openLevel(folder, { create: false })
    await kv.close()
  } catch (error) {
    if (errorCode(error) === 'store-locked') throw error // whatever else is wrong with it, it is put aside
  }
}

/** Names that stand for nobody would waive nothing, and hide a slip of the keyboard. */
function refuseStrangers(store: LedgerStore, without: readonly string[], own: string): void {
  const { validatorByName } = store.members.newest
  const stranger = without.find((name) => name === own || !validatorByName.has(name))
  if (stranger === undefined) return
  const others = [...validatorByName.keys()].filter((name) => name !== own).join(', ')
  throw new CliError('usage', `--without ${stranger}: name other validators of this ledger: ${others}.`)
}

async function open(file: string): Promise<BackupReader> {
  try {
    return await BackupReader.open(file)
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause
    throw new CliError('file', `${file} could not be read: ${reasonOf(cause)}.`, { path: file }, { cause })
  }
}

function sheet(
  { ledger, genesis, height, size }: BackupResult,
  dir: string,
  kept: string | undefined,
): string {
  const facts = factSheet([
    ['Ledger', ledger],
    ['Genesis', genesis],
    ['Height', height],
    ['Leaves', size],
    ['Folder', dir],
    ['Old store', kept],
  ])
  return `${facts}\n\nThe node takes part again once it has caught up and the other validators have told what they know of it.\nTo start it: qat start --dir ${dir}`
}
