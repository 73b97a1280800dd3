/**
 * New keys for a node, beside those it runs with: `qat rotate`, `qat restore`, `qat fsck --repair` and a node whose
 * store has forgotten something make them alike. The private keys stay in the node's folder; an admin elsewhere needs
 * only the record.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keyId } from '../src/crypto/keys.ts'
import { encodeMember, type NodeMember } from '../src/ledger/member.ts'
import type { KeyRing } from './core/recovery.ts'
import { FILES } from './folder.ts'
import { keyFilesOf, keysIn, makeNextIdentity, NEXT, nodeSignerOf } from './keys-folder.ts'
import { foundingRecord } from './node-record.ts'

export interface NewKeys {
  /** The record that names them, and the file in which it lies. */
  readonly record: NodeMember
  readonly path: string
}

/**
 * Makes keys in `next/` unless some wait there that are not among `spent`, and writes the record that names them.
 * Throws KeyFileError.
 * @param before the present record of the node
 * @param spent ids of keys that must not be used any more
 */
export async function prepareNewKeys(
  dir: string,
  before: NodeMember,
  passphrase?: string,
  spent: readonly string[] = [],
): Promise<NewKeys> {
  const record: NodeMember = { ...before, ...(await makeNextIdentity(dir, passphrase, spent)) }
  const path = join(dir, NEXT, FILES.member)
  await writeFile(path, encodeMember(record))
  return { record, path }
}

/** What somebody with an admin's key runs where the folder is, and what they run elsewhere, with the record at hand. */
export function commandsFor(dir: string): { readonly here: string; readonly elsewhere: string } {
  const record = join(dir, NEXT, FILES.member)
  return {
    here: `qat rotate --dir ${dir} --admin-key KEY`,
    elsewhere: `qat member replace ${record} --admin-key KEY`,
  }
}

/** The keys of the node folder `dir`, for a node whose store has forgotten something. */
export function keyRingOf(dir: string, passphrase?: string): KeyRing {
  return {
    ids: async () => ({
      inPlace: (await keysIn(dir, passphrase)).map(keyId),
      next: (await keysIn(join(dir, NEXT), passphrase)).map(keyId),
    }),
    prepare: async (spent, record) => {
      await prepareNewKeys(dir, record ?? (await foundingRecord(dir)), passphrase, spent)
      const { here, elsewhere } = commandsFor(dir)
      return `Next, with an admin's key: ${here} (or, on the admin's machine, with a copy of that file: ${elsewhere}).`
    },
    nodeSigner: (key) => nodeSignerOf(dir, key, passphrase),
    holds: async (record) => (await keyFilesOf(dir, record, passphrase)) !== undefined,
  }
}
