/**
 * A folder for a node that joins a ledger: genesis, new keys, the addresses of the present nodes, and the records
 * by which an admin admits it. There is no store: a node without one starts by catching up.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keyId } from '../src/crypto/keys.ts'
import { RefusedError } from '../src/errors.ts'
import { readGenesis, verifyGenesis } from '../src/ledger/genesis.ts'
import { encodeMember, type Learner, type Member, type Submitter } from '../src/ledger/member.ts'
import type { Membership } from '../src/ledger/membership.ts'
import { opensslSuite } from './crypto/openssl.ts'
import { FILES, fillFolder, writeNodeFolder } from './folder.ts'
import { makeGatewayKey, makeIdentity } from './identity.ts'
import type { ClusterNode } from './init.ts'
import { gatewayRecord, learnerRecord, multiaddrOf } from './node-record.ts'
import { createStore } from './store/create-store.ts'

export interface JoinOptions {
  /** Must be empty or absent. */
  readonly dir: string
  readonly node: ClusterNode
  /** Block 0 as a node gave it, and its id as somebody trusted gave it. */
  readonly genesis: Uint8Array
  readonly genesisId: string
  /** The members now, by the word of a node: where to find the others, and which names are taken. */
  readonly membership: Membership
  /** Encrypts the private keys. */
  readonly passphrase?: string
}

export interface Joined {
  readonly ledger: string
  /** The records, and the files in which they lie. */
  readonly learner: Learner
  readonly learnerPath: string
  readonly gateway: Submitter
  readonly gatewayPath: string
}

/**
 * Makes the folder. Throws RefusedError wrong-ledger or bad-signature for another or a forged genesis, bad-change
 * if the name is taken, FolderError folder-not-empty; then no key has been made. After a failure the folder is as it was.
 */
export async function joinLedger(options: JoinOptions): Promise<Joined> {
  const { dir, node, membership, passphrase } = options
  const genesis = readGenesis(options.genesis)
  if (genesis.block.id !== options.genesisId) {
    throw new RefusedError(
      'wrong-ledger',
      `The node's genesis is ${genesis.block.id}, not ${options.genesisId}. Ask a node of the ledger that you mean.`,
      { genesis: genesis.block.id },
    )
  }
  await verifyGenesis(opensslSuite, genesis)
  if (membership.members.some(({ name }) => name === node.name)) {
    throw new RefusedError(
      'bad-change',
      `A member is named ${node.name} already. Give the node another name.`,
    )
  }
  return fillFolder(dir, async () => {
    const learner = learnerRecord(node, await makeIdentity(dir, passphrase), node)
    const gateway = gatewayRecord(node, await makeGatewayKey(dir, passphrase))
    const config = {
      name: node.name,
      listen: [multiaddrOf(node.bind ?? node.rpcHost, node.peerPort)],
      rpc: { host: node.rpcHost, port: node.rpcPort },
      peers: [...membership.nodeByName.values()].map(({ name, peerId, addresses }) => {
        return { name, peerId, addresses }
      }),
    }
    const learnerPath = await writeRecord(join(dir, FILES.member), learner)
    const gatewayPath = await writeRecord(join(dir, FILES.gateway), gateway)
    const owner = { name: learner.name, keys: [keyId(learner.nodeKey), keyId(learner.cosignerKey)] }
    await createStore(join(dir, FILES.store), options.genesis, owner)
    // The configuration last: a folder that has one is whole.
    await writeNodeFolder(dir, config, options.genesis, [])
    return { ledger: genesis.parameters.ledger, learner, learnerPath, gateway, gatewayPath }
  })
}

async function writeRecord(path: string, member: Member): Promise<string> {
  await writeFile(path, encodeMember(member), { flag: 'wx' })
  return path
}
