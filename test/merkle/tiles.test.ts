import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat, toHex, utf8 } from '../../src/bytes.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import {
  decodeEntryBundle,
  encodeEntryBundle,
  nodeFromTile,
  nodeTile,
  parseTilePath,
  tilePath,
  tileWidth,
} from '../../src/merkle/tiles.ts'

describe('tile paths (C2SP tlog-tiles)', () => {
  const golden = [
    ['tile/0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 }],
    ['tile/entries/000.p/15', { level: 'entries', index: 0, width: 15 }],
    ['tile/1/999', { level: 1, index: 999, width: 256 }],
    ['tile/63/x001/000.p/255', { level: 63, index: 1000, width: 255 }],
    ['tile/0/x009/x007/x199/x254/x740/991.p/1', { level: 0, index: 2 ** 53 - 1, width: 1 }],
  ] as const

  it('are written and read as the specification spells them', () => {
    for (const [path, tile] of golden) {
      assert.equal(tilePath(tile), path)
      assert.deepEqual(parseTilePath(path), tile)
    }
  })

  it('have no second spelling', () => {
    const bad = [
      '',
      'tile/0/0',
      'tile/0/x000/001',
      'tile/00/000',
      'tile/64/000',
      'tile/0/1000',
      'tile/0/x001',
    ]
    bad.push(
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/0/000.p/01',
      'tile/0/000.p/',
      'tile/0/000/',
      '/tile/0/000',
    )
    bad.push(
      'tile/entries',
      'tile/seeds/000',
      'tile/0/x009/x007/x199/x254/x740/992',
      'tile/0/000\n',
      'tile/-1/000',
    )
    for (const path of bad) assert.throws(() => parseTilePath(path), { code: 'bad-field' }, path)
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), (text) => {
        for (const path of [text, `tile/0/${text}`]) {
          try {
            assert.equal(tilePath(parseTilePath(path)), path)
          } catch (error) {
            assert.equal((error as { code?: unknown }).code, 'bad-field')
          }
        }
      }),
    )
  })
})

describe('tile coordinates', () => {
  it('name the tile, and the run of hashes in it, of every node', () => {
    assert.deepEqual(nodeTile({ level: 0, index: 300 }), { level: 0, index: 1, first: 44, count: 1 })
    assert.deepEqual(nodeTile({ level: 3, index: 33 }), { level: 0, index: 1, first: 8, count: 8 })
    assert.deepEqual(nodeTile({ level: 7, index: 1 }), { level: 0, index: 0, first: 128, count: 128 })
    assert.deepEqual(nodeTile({ level: 8, index: 1 }), { level: 1, index: 0, first: 1, count: 1 })
    assert.deepEqual(nodeTile({ level: 52, index: 0 }), { level: 6, index: 0, first: 0, count: 16 })
  })

  it('know how wide a tile is at each size', () => {
    assert.equal(tileWidth(0, 0, 0), 0)
    assert.equal(tileWidth(0, 0, 255), 255)
    assert.equal(tileWidth('entries', 0, 300), 256)
    assert.equal(tileWidth('entries', 1, 300), 44)
    assert.equal(tileWidth(1, 0, 300), 1)
    assert.equal(tileWidth(1, 0, 255), 0)
    assert.equal(tileWidth(6, 0, 2 ** 53 - 1), 31)
    assert.equal(tileWidth(63, 0, 2 ** 53 - 1), 0)
  })

  it('give back every node of a tree from tiles alone', () => {
    const tiles = new Map<string, Uint8Array[]>()
    const nodes: [number, number, Uint8Array][] = []
    const tree = new Frontier()
    for (let i = 0; i < 600; i++) {
      tree.append(leafHash(utf8(`${i}`)), (level, index, hash) => {
        nodes.push([level, index, hash])
        if (level % 8 !== 0) return
        const name = `${level / 8}/${Math.floor(index / 256)}`
        tiles.set(name, [...(tiles.get(name) ?? []), hash])
      })
    }
    for (const [level, index, hash] of nodes) {
      const slice = nodeTile({ level, index })
      const tile = concat(...tiles.get(`${slice.level}/${slice.index}`)!)
      assert.equal(toHex(nodeFromTile(tile, slice)), toHex(hash))
      const short = tile.subarray(0, (slice.first + slice.count) * 32 - 1)
      assert.throws(() => nodeFromTile(short, slice), { code: 'truncated' })
    }
  })
})

describe('entry bundles', () => {
  it('are length and bytes, entry by entry', () => {
    const entries = [utf8('ab'), new Uint8Array(0), new Uint8Array(258).fill(7)]
    const bytes = encodeEntryBundle(entries)
    assert.equal(toHex(bytes.subarray(0, 9)), '000261620000010207')
    assert.deepEqual(decodeEntryBundle(bytes), entries)
    assert.deepEqual(decodeEntryBundle(encodeEntryBundle([new Uint8Array(65_535)]))[0]!.length, 65_535)
    assert.throws(() => encodeEntryBundle([new Uint8Array(65_536)]), { code: 'too-large' })
  })

  it('are refused when cut, and when there are more entries than expected', () => {
    const bytes = encodeEntryBundle([utf8('one'), utf8('two')])
    for (const end of [1, 4, 6, 9]) {
      assert.throws(() => decodeEntryBundle(bytes.subarray(0, end)), { code: 'truncated' })
    }
    assert.throws(() => decodeEntryBundle(bytes, 1), { code: 'too-large' })
    assert.throws(() => decodeEntryBundle(new Uint8Array(100_000)), { code: 'too-large' })
  })

  it('come back from any bytes that are read at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        try {
          assert.deepEqual(encodeEntryBundle(decodeEntryBundle(bytes)), bytes)
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'truncated')
        }
      }),
    )
  })
})
