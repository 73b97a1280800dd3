/**
 * A past for a devnet whose nodes are not running: blocks of signed entries, sealed by one validator and certified
 * by all, in the stores of those nodes that were there. Every signature is real; only the days are left out.
 */
import { copyFile, link, mkdir, readdir, rm } from 'node:fs/promises'
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
  readonly nodes: readonly HistoryNode[]
  readonly entries: number
  readonly blockEntries: number
  /** Makes the entry with this number, from 0 on. */
  readonly entry: (number: number) => Promise<Entry>
  readonly onProgress: (entries: number) => void
}

export interface HistoryNode {
  readonly name: string
  readonly dir: string
}

const TERM = 1
/** Entries that are signed at a time: enough for the thread pool, while the block before is being written. */
const SIGNED_AT_ONCE = 32

/** Writes the history; returns the size of the tree after it. */
export async function writeHistory(options: HistoryOptions): Promise<number> {
  const { genesis, nodes, entries, blockEntries, entry, onProgress } = options
  const proposer = nodes[0]!
  const signer = await signerOf(proposer.dir, FILES.nodeKey)
  const keyed = { keyid: keyId(signer.publicKey), signer }
  let size: number
  const kv = await openLevel(join(proposer.dir, FILES.store))
  try {
    const store = await LedgerStore.open(kv, genesis)
    // All have cosigned the end, so what one store promises all may.
    await store.put({ hardState: { term: TERM, vote: undefined, abstains: true } })
    let written: Promise<void> = Promise.resolve()
    for (let done = 0; done < entries; ) {
      const count = Math.min(blockEntries, entries - done)
      const signed = await signAll(count, (i) => entry(done + i))
      await written
      const place = nextPlace(store.state, TERM, proposer.name, Date.now())
      const block = await sealBlock(place, signed, [keyed])
      written = store.install([{ block, entries: signed }])
      // Whoever awaits it next is told; until then nobody listens.
      written.catch(() => {})
      done += count
      onProgress(done)
    }
    await written
    await certify(nodes, store)
    size = store.tip.size
  } finally {
    await kv.close()
  }
  for (const { dir } of nodes.slice(1)) await copyStore(proposer.dir, dir)
  return size
}

async function signAll(count: number, entry: (number: number) => Promise<Entry>): Promise<Entry[]> {
  const signed: Entry[] = new Array(count)
  let next = 0
  const worker = async () => {
    for (let i = next++; i < count; i = next++) signed[i] = await entry(i)
  }
  await Promise.all(Array.from({ length: SIGNED_AT_ONCE }, worker))
  return signed
}

/**
 * A table that LevelDB was writing when it was closed is none of its own when it is opened again, and it takes the same
 * number for the next one, into the same file. One compaction writes fewer than these.
 */
const TABLES_COPIED = 64

/** Puts the store of a stopped node in place of another's. Tables that LevelDB never changes again are shared. */
async function copyStore(from: string, to: string): Promise<void> {
  const [source, target] = [join(from, FILES.store), join(to, FILES.store)]
  await rm(target, { recursive: true, force: true })
  await mkdir(target, { mode: 0o700 })
  const files = (await readdir(source)).toSorted()
  const shared = new Set(files.filter((file) => file.endsWith('.ldb')).slice(0, -TABLES_COPIED))
  for (const file of files) {
    const put = shared.has(file) ? link : copyFile
    await put(join(source, file), join(target, file))
  }
}

/** One certificate for all of it, cosigned by everyone who was there. */
async function certify(nodes: readonly HistoryNode[], store: LedgerStore): Promise<void> {
  const origin = store.genesis.parameters.ledger
  const checkpoint = { origin, size: store.tip.size, root: store.tip.root }
  const seconds = Math.floor(Date.now() / 1_000)
  const lines = []
  for (const [i, { name, dir }] of nodes.entries()) {
    const cosigner = await signerOf(dir, FILES.cosignerKey)
    const names = i === 0 ? [origin, cosignerName(origin, name)] : [cosignerName(origin, name)]
    for (const key of names) lines.push(await signCosignature(cosigner, key, checkpoint, seconds))
  }
  await store.setCosigned(checkpoint)
  await store.setCertificate(assembleCertificate(checkpoint, lines), store.tip.size)
}

async function signerOf(dir: string, file: string): Promise<Signer> {
  const { alg, seed } = await readKeyFile(join(dir, file))
  const signer = opensslSuite.signer(alg, seed)
  seed.fill(0)
  return signer
}
