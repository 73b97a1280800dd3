/** Backup files: what is written is read back, and nothing else is. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { answerFrom, decodeSyncAnswer, encodeSyncAnswer } from '../../node/core/sync.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { readBackup, writeBackup } from '../../node/store/backup.ts'
import { BackupReader, BackupWriter } from '../../node/store/backup-file.ts'
import { META } from '../../node/store/keys.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { toHex } from '../../src/bytes.ts'
import { QatError } from '../../src/errors.ts'
import { refused } from '../ledger/fixture.ts'
import { type MemoryKv, memoryKv } from '../support/memory-kv.ts'
import { type Chain, fillStore, makeChain } from './fixture.ts'

describe('backup files', function () {
  this.timeout(60_000)
  let dir: string
  let chain: Chain
  let source: LedgerStore
  let kv: MemoryKv
  let good: Uint8Array

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qat-backup-'))
    chain = await makeChain(5)
    kv = memoryKv()
    source = await fillStore(kv, chain)
    await write(join(dir, 'good'))
    good = new Uint8Array(await readFile(join(dir, 'good')))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  /** `blocksEach` makes several answers of what would fit into one. */
  const answers = (blocksEach: number) => async (from: number) => {
    const answer = await answerFrom(source, await source.certificate(), from)
    const blocks = answer.blocks.slice(0, blocksEach)
    const last = chain.blocks[from + blocks.length - 2]!.block
    const index = last.seal.firstIndex + last.seal.count
    const path = await source.tree.inclusionPath(index, source.tip.size)
    return encodeSyncAnswer({ ...answer, blocks, path })
  }

  const write = (path: string, blocksEach = 2) =>
    writeBackup(path, chain.genesis.block.bytes, answers(blocksEach), opensslSuite, 5, () => {})

  async function read(bytes: Uint8Array): Promise<MemoryKv> {
    const path = join(dir, 'read')
    await writeFile(path, bytes)
    const into = memoryKv()
    const store = await LedgerStore.open(into, chain.genesis.block.bytes, { fresh: true })
    const reader = await BackupReader.open(path)
    try {
      await readBackup(reader, store, opensslSuite, () => {})
    } finally {
      await reader.close()
    }
    return into
  }

  it('bring back everything but what the node had promised', async () => {
    for (const blocksEach of [1, 2, 256]) {
      const path = join(dir, `by-${blocksEach}`)
      const { height, size } = await write(path, blocksEach)
      assert.deepEqual([height, size], [5, source.tip.size])
      const into = await read(new Uint8Array(await readFile(path)))
      const own = [META.hardState, META.cosigned].map(toHex)
      for (const name of own) assert.notDeepEqual(into.map.get(name), kv.map.get(name))
      for (const [key, value] of kv.map) {
        if (!own.includes(key)) assert.deepEqual(into.map.get(key), value, key)
      }
      assert.equal(into.map.size, kv.map.size)
    }
  })

  it('end at the newest certificate, though blocks beyond it wait for theirs', async () => {
    const path = join(dir, 'waiting')
    const ahead = 7
    const { height } = await writeBackup(
      path,
      chain.genesis.block.bytes,
      answers(2),
      opensslSuite,
      ahead,
      () => {},
    )
    assert.equal(height, 5)
  })

  it('are refused with any bit changed, cut anywhere, or longer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.constantFrom('flip', 'cut', 'add'), async (at, how) => {
        const bit = at % (8 * good.length)
        const bytes =
          how === 'cut'
            ? good.slice(0, bit >> 3)
            : how === 'add'
              ? new Uint8Array([...good, at & 255])
              : good.with(bit >> 3, good[bit >> 3]! ^ (1 << (bit & 7)))
        await assert.rejects(read(bytes), QatError)
      }),
      { numRuns: 60 },
    )
  })

  it('are refused when answers are left out at the end, though the checksum be right', async () => {
    const path = join(dir, 'short')
    const writer = await BackupWriter.create(path, chain.genesis.block.bytes)
    await writer.add(await answers(2)(1))
    await writer.finish()
    await assert.rejects(read(new Uint8Array(await readFile(path))), refused('truncated'))
  })

  it('follow changes of membership, and no certificate across one', async () => {
    const changed = await makeChain(5, 2, 3)
    const store = await fillStore(memoryKv(), changed)
    const genesis = changed.genesis.block.bytes
    const newest = (await store.certificate())!
    const honest = async (from: number) => encodeSyncAnswer(await answerFrom(store, newest, from))
    const path = join(dir, 'changed')
    const { height } = await writeBackup(path, genesis, honest, opensslSuite, 5, () => {})
    assert.equal(height, 5, 'the boundary at 3 has a certificate of its own, and is not the end')
    const reader = await BackupReader.open(path)
    const restored = await LedgerStore.open(memoryKv(), genesis, { fresh: true })
    await readBackup(reader, restored, opensslSuite, () => {})
    await reader.close()
    assert.equal(restored.tip.hash, store.tip.hash)
    const boundary = restored.members.boundaryOf(1)!
    assert.equal(restored.members.newest.sequence, 1)
    assert.equal(await restored.boundaryCertificate(boundary), await store.boundaryCertificate(boundary))

    // Whoever has kept the keys of a former policy could certify whatever lies beyond.
    const across = async (from: number) => {
      const blocks = changed.blocks.slice(from - 1).map(({ block }) => block.bytes)
      const path = await store.tree.inclusionPath(store.tip.size - 1, store.tip.size)
      return encodeSyncAnswer({ certificate: newest, path, blocks })
    }
    await assert.rejects(
      writeBackup(join(dir, 'across'), genesis, across, opensslSuite, 5, () => {}),
      refused('quorum-not-met'),
    )
  })

  it('take nothing from a source that lies, and leave nothing behind', async () => {
    const honest = answers(2)
    const forged = async (from: number) => {
      const answer = decodeSyncAnswer(await honest(from))
      return encodeSyncAnswer({ ...answer, blocks: answer.blocks.toReversed() })
    }
    const path = join(dir, 'forged')
    const genesis = chain.genesis.block.bytes
    await assert.rejects(
      writeBackup(path, genesis, forged, opensslSuite, 5, () => {}),
      QatError,
    )
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.startsWith('forged')),
      [],
    )
  })
})
