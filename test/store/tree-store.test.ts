/** Proofs made from tiles, with what is kept of them in memory, are those of a tree made from scratch. */
import assert from 'node:assert/strict'
import { TreeStore } from '../../node/store/tree-store.ts'
import { toHex, u64 } from '../../src/bytes.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { verifyInclusion } from '../../src/merkle/verify.ts'
import { refused } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

const leaf = (index: number) => leafHash(u64(index))

describe('the tree of a store', function () {
  this.timeout(30_000)

  async function grow(tree: TreeStore, kv: ReturnType<typeof memoryKv>, to: number): Promise<void> {
    const from = tree.size
    const hashes = Array.from({ length: to - from }, (_, i) => leaf(from + i))
    const { writes, adopt } = tree.append(hashes, [to])
    await kv.write(writes, true)
    adopt()
  }

  it('proves every leaf at every size, while it grows and after it was opened again', async () => {
    const kv = memoryKv()
    const tree = await TreeStore.open(kv, 0)
    for (const size of [1, 2, 255, 256, 257, 511, 513, 1_000]) {
      await grow(tree, kv, size)
      const again = await TreeStore.open(kv, size)
      for (let index = 0; index < size; index += 7) {
        for (const one of [tree, again]) {
          for (const at of [size, index + 1]) {
            const path = await one.inclusionPath(index, at)
            const root = await again.root(at)
            verifyInclusion({ index, size: at, leafHash: leaf(index), path, root })
          }
        }
      }
    }
    assert.equal(toHex(await tree.root(1_000)), toHex(await (await TreeStore.open(kv, 1_000)).root(1_000)))
  })

  it('proves what it was asked for though it grows meanwhile', async () => {
    const kv = memoryKv()
    const tree = await TreeStore.open(kv, 0)
    await grow(tree, kv, 400)
    const root = await tree.root(400)
    const asked = [3, 270, 399].map((index) => ({ index, path: tree.inclusionPath(index, 400) }))
    const { adopt } = tree.append(
      Array.from({ length: 500 }, (_, i) => leaf(400 + i)),
      [900],
    )
    adopt() // the tile at the edge is full now, and its like on the disk is still narrow
    for (const { index, path } of asked) {
      verifyInclusion({ index, size: 400, leafHash: leaf(index), path: await path, root })
    }
  })

  it('takes the disk for what it is when it is read anew', async () => {
    const kv = memoryKv()
    const tree = await TreeStore.open(kv, 0)
    await grow(tree, kv, 300)
    await tree.root(300)
    const other = memoryKv()
    await grow(await TreeStore.open(other, 0), other, 600)
    for (const [key, value] of other.map) kv.map.set(key, value)
    await tree.reload(600)
    assert.equal(toHex(await tree.root(600)), toHex(await (await TreeStore.open(other, 600)).root(600)))
    kv.map.clear()
    await assert.rejects(tree.reload(600), refused('store-damaged'))
    assert.equal(tree.size, 600)
  })
})
