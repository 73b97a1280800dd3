/** The member records of nodes: founding a ledger, joining one and changing keys make them alike. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PublicKey } from '../src/crypto/suite.ts'
import { errorMessage } from '../src/errors.ts'
import { decodeMember, type Learner, type NodeMember, type Submitter } from '../src/ledger/member.ts'
import { isNode } from '../src/ledger/membership.ts'
import { gatewayName } from './core/gateway.ts'
import { FILES, FolderError, readNodeFolder } from './folder.ts'
import { type NodeIdentity, readIdentity } from './identity.ts'

/** Where others reach a node. */
export interface NodePlace {
  /** A host name or an IP address. */
  readonly host: string
  readonly peerPort: number
  readonly rpcPort: number
}

interface Named {
  readonly name: string
  readonly team: string
}

/** Every node enters as a learner. */
export function learnerRecord({ name, team }: Named, identity: NodeIdentity, place: NodePlace): Learner {
  return { kind: 'learner', name, team, ...identity, ...addressesOf(place) }
}

/** The submitter that signs for senders who cannot. */
export function gatewayRecord({ name, team }: Named, key: PublicKey): Submitter {
  return { kind: 'submitter', name: gatewayName(name), team, key, sources: ['*'], types: ['*'] }
}

export function addressesOf({ host, peerPort, rpcPort }: NodePlace): Pick<NodeMember, 'addresses' | 'url'> {
  return { addresses: [multiaddrOf(host, peerPort)], url: urlOf(host, rpcPort) }
}

export function multiaddrOf(host: string, port: number): string {
  const kind = /^[0-9.]+$/.test(host) ? 'ip4' : host.includes(':') ? 'ip6' : 'dns4'
  return `/${kind}/${host}/tcp/${port}`
}

export function urlOf(host: string, rpcPort: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${rpcPort}`
}

/**
 * The record by which the node of a folder asks to be admitted, also if it was a member before: the keys that lie
 * there now; all else as in its `member.json`, or for a founder in genesis. Throws FolderError, KeyFileError.
 */
export async function recordOfFolder(dir: string, passphrase?: string): Promise<Learner> {
  return { ...(await foundingRecord(dir)), kind: 'learner', ...(await readIdentity(dir, passphrase)) }
}

/** What the folder itself says of its node: the record that it joined with, or that of genesis. Throws FolderError. */
export async function foundingRecord(dir: string): Promise<NodeMember> {
  const { config, genesis } = await readNodeFolder(dir)
  const known = (await readOwnRecord(dir)) ?? genesis.membership.nodeByName.get(config.name)
  if (known) return known
  const message = `${dir} has no ${FILES.member}, and genesis does not know ${config.name}.`
  throw new FolderError('folder-damaged', message, { dir })
}

/** Only a node that joined has one. */
async function readOwnRecord(dir: string): Promise<NodeMember | undefined> {
  const path = join(dir, FILES.member)
  const bytes = await readFile(path).catch(() => undefined)
  if (!bytes) return undefined
  try {
    const member = decodeMember(new Uint8Array(bytes))
    if (isNode(member)) return member
  } catch (cause) {
    const message = `${path} is not usable: ${errorMessage(cause)}`
    throw new FolderError('folder-damaged', message, { path }, { cause })
  }
  throw new FolderError('folder-damaged', `${path} is not the record of a node.`, { path })
}
