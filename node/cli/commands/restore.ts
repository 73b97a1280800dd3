/** `qat restore`: a node's store from a backup, and new keys, since it does not hold what the node has signed. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { errorCode } from '../../../src/errors.ts'
import type { NodeMember } from '../../../src/ledger/member.ts'
import { useNativeCode } from '../../crypto/native.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { verifyQueue } from '../../crypto/verify-queue.ts'
import { FILES, readNodeFolder } from '../../folder.ts'
import { commandsFor, keyRingOf, prepareNewKeys } from '../../new-keys.ts'
import { foundingRecord } from '../../node-record.ts'
import { type BackupResult, readBackup } from '../../store/backup.ts'
import { BackupReader } from '../../store/backup-file.ts'
import { openLevel } from '../../store/level.ts'
import { hasStore } from '../../store/level-files.ts'
import { replaceStore } from '../../store/replace-store.ts'
import { CliError } from '../exit.ts'
import { reasonOf } from '../files.ts'
import { newKeysText } from '../new-keys-text.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { folderPassphrase } from '../passphrase.ts'
import { createProgress } from '../progress.ts'

interface Options extends GlobalOptions {
  readonly dir: string
  readonly force?: true
}

const EXAMPLES = `
Examples:
  qat restore ledger.qat-backup --dir ledger/alpha

DIR is a node's folder with its keys. The backup is verified in full before anything is put in place. What the node
has signed since the backup is not in it, so its keys must not sign any more: new ones are made in DIR/next. The node
follows and answers at once, and takes part again when an admin has admitted the new keys: the command is printed.
Set QAT_PASSPHRASE or QAT_PASSPHRASE_FILE if the node's keys are encrypted.
`

export function addRestoreCommand(program: Command): void {
  program
    .command('restore')
    .argument('<file>', 'a file that "qat backup" wrote')
    .description("put a backup back as a node's store")
    .requiredOption('--dir <dir>', 'folder of the node, which must be stopped')
    .option('--force', 'put the store that is there aside, under another name')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options, command: Command) =>
      restore(file, command.optsWithGlobals<Options>()),
    )
}

async function restore(file: string, { dir, force, json }: Options): Promise<void> {
  const passphrase = await folderPassphrase(dir)
  useNativeCode()
  const { config, genesis } = await readNodeFolder(dir)
  const folder = join(dir, FILES.store)
  await refuseStore(folder, force === true)
  const { inPlace, next } = await keyRingOf(dir, passphrase).ids()
  const spent = [...inPlace, ...next]
  const reader = await open(file)
  const progress = createProgress(json === true)
  // So that the thread pool has room for the disk among thousands of signatures.
  const suite = verifyQueue(opensslSuite).ordinary
  let before: NodeMember | undefined
  try {
    const { result, kept } = await replaceStore(folder, genesis, async (store) => {
      const done = await readBackup(reader, store, suite, (bytes, total) =>
        progress.update('Restoring', bytes, total, 'bytes'),
      )
      await store.setRecovering({ keys: spent, why: 'restored' })
      before = store.members.newest.nodeByName.get(config.name)
      return done
    })
    progress.end()
    const { path } = await prepareNewKeys(dir, before ?? (await foundingRecord(dir)), passphrase, spent)
    const keptAs = kept === undefined ? {} : { kept }
    const ahead = { recovering: true, record: path, next: commandsFor(dir).here }
    if (json) printJson({ ...result, dir, ...ahead, ...keptAs })
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
  return `${facts}\n\n${newKeysText(dir)}`
}
