/**
 * A past for a devnet whose nodes are not running: blocks of signed entries, sealed by one validator and certified
 * by all, in the stores of those nodes that were there. Every signature is real; only the days are left out.
 */
import { join } from 'node:path'
import { readKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { FILES } from '../../node/folder.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { sealBlock } from '../../src/ledger/block.ts'
import { nextPlace } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'

export interface HistoryOptions {
  readonly genesis: Uint8Array
  /** Those who were there; the first has proposed every block. */
  readonly nodes: readonly { readonly name: string; readonly dir: string }[]
  readonly entries: number
  readonly blockEntries: number
  /** Makes the entry with this number, from 0 on. */
  readonly entry: (number: number) => Promise<Entry>
  readonly onProgress: (entries: number) => void
}

const TERM = 1

/** Writes the history; returns the size of the tree after it. */
export async function writeHistory(options: HistoryOptions): Promise<number> {
  const { genesis, nodes, entries, blockEntries, entry, onProgress } = options
  const proposer = nodes[0]!
  const signer = await signerOf(proposer.dir, FILES.nodeKey)
  const keyed = { keyid: keyId(signer.publicKey), signer }
  const kvs = await Promise.all(nodes.map(({ dir }) => openLevel(join(dir, FILES.store))))
  try {
    const stores = await Promise.all(kvs.map((kv) => LedgerStore.open(kv, genesis)))
    for (const store of stores) await store.persist({ term: TERM, votedFor: proposer.name }, undefined, [])
    const first = stores[0]!
    for (let done = 0; done < entries; ) {
      const count = Math.min(blockEntries, entries - done)
      const signed = await Promise.all(Array.from({ length: count }, (_, i) => entry(done + i)))
      const block = await sealBlock(nextPlace(first.state, TERM, proposer.name, Date.now()), signed, [keyed])
      await Promise.all(stores.map((store) => store.install([{ block, entries: signed }])))
      done += count
      onProgress(done)
    }
    await certify(nodes, stores)
    return first.tip.size
  } finally {
    await Promise.all(kvs.map((kv) => kv.close()))
  }
}

/** One certificate for all of it, cosigned by everyone who was there. */
async function certify(nodes: HistoryOptions['nodes'], stores: readonly LedgerStore[]): Promise<void> {
  const { genesis, tip } = stores[0]!
  const origin = genesis.parameters.ledger
  const checkpoint = { origin, size: tip.size, root: tip.root }
  const seconds = Math.floor(Date.now() / 1_000)
  const lines = []
  for (const [i, { name, dir }] of nodes.entries()) {
    const cosigner = await signerOf(dir, FILES.cosignerKey)
    const names = i === 0 ? [origin, cosignerName(origin, name)] : [cosignerName(origin, name)]
    for (const key of names) lines.push(await signCosignature(cosigner, key, checkpoint, seconds))
  }
  const note = assembleCertificate(checkpoint, lines)
  for (const store of stores) {
    await store.setCosigned(checkpoint)
    await store.setCertificate(note, tip.size)
  }
}

async function signerOf(dir: string, file: string): Promise<Signer> {
  const { alg, seed } = await readKeyFile(join(dir, file))
  const signer = opensslSuite.signer(alg, seed)
  seed.fill(0)
  return signer
}
