/**
 * Tiles of C2SP tlog-tiles: runs of up to 256 hashes of every eighth level, and the bundles of the entries
 * below them, each a file that never changes.
 */
import { concat } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { ENTRY_BYTES_MAX, HASH_BYTES, INDEX_MAX } from '../limits.ts'
import type { NodeId } from './geometry.ts'
import { nodeHash } from './hash.ts'

/** Levels of the tree between one level of tiles and the next. */
export const TILE_HEIGHT = 8
/** Hashes of a full tile, and entries of a full bundle. */
export const TILE_WIDTH = 256
const LEVEL_MAX = 63

/** One tile: `entries` are bundles of leaves, a number is a level of hash tiles (0 = leaf hashes). */
export interface TileId {
  readonly level: number | 'entries'
  readonly index: number
  /** Hashes or entries in it, 1 to 256; fewer than 256 make a partial tile. */
  readonly width: number
}

/** Where a node of the tree is found: `count` hashes of a tile from `first` on, to be folded into one. */
export interface TileSlice {
  readonly level: number
  readonly index: number
  readonly first: number
  readonly count: number
}

/** The tile that holds a node, or the 2, 4 ... 128 nodes of a stored level below it. */
export function nodeTile({ level, index }: NodeId): TileSlice {
  const count = 2 ** (level % TILE_HEIGHT)
  const position = index * count
  return {
    level: Math.floor(level / TILE_HEIGHT),
    index: Math.floor(position / TILE_WIDTH),
    first: position % TILE_WIDTH,
    count,
  }
}

/** The node that a slice of a tile's bytes stands for. FormatError truncated if the tile is too narrow. */
export function nodeFromTile(tile: Uint8Array, slice: TileSlice): Uint8Array {
  const end = (slice.first + slice.count) * HASH_BYTES
  if (tile.length < end) {
    throw new FormatError('truncated', 'The tile is too narrow for this node.', { ...slice })
  }
  let row: Uint8Array[] = []
  for (let at = slice.first * HASH_BYTES; at < end; at += HASH_BYTES) {
    row.push(tile.slice(at, at + HASH_BYTES))
  }
  while (row.length > 1) row = pairUp(row)
  return row[0]!
}

function pairUp(row: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!))
}

/** How many hashes (or entries) the tile has in a tree of `size` leaves: 0 if it does not exist yet. */
export function tileWidth(level: number | 'entries', index: number, size: number): number {
  const hashes = level === 'entries' ? size : Math.floor(size / TILE_WIDTH ** level)
  return Math.min(TILE_WIDTH, Math.max(0, hashes - index * TILE_WIDTH))
}

/** `tile/<L>/<N>[.p/<W>]`, relative to the log's prefix: tile 1234067 of level 0 is tile/0/x001/x234/067. */
export function tilePath({ level, index, width }: TileId): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g)!
  const partial = width === TILE_WIDTH ? '' : `.p/${width}`
  return `tile/${level}/${groups.map((g, i) => (i < groups.length - 1 ? `x${g}` : g)).join('/')}${partial}`
}

const TILE_PATH = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/

/** Reads a path as `tilePath` writes it; every other spelling is FormatError bad-field. */
export function parseTilePath(path: string): TileId {
  const [, level, groups, width] = TILE_PATH.exec(path) ?? []
  if (level !== undefined && groups !== undefined) {
    const tile: TileId = {
      level: level === 'entries' ? level : Number(level),
      index: Number(groups.replaceAll(/[x/]/g, '')),
      width: width === undefined ? TILE_WIDTH : Number(width),
    }
    const inRange =
      (tile.level === 'entries' || tile.level <= LEVEL_MAX) &&
      tile.index <= INDEX_MAX &&
      tile.width >= 1 &&
      tile.width <= TILE_WIDTH
    if (inRange && tilePath(tile) === path) return tile
  }
  throw new FormatError('bad-field', 'This is not the path of a tile (c2sp.org/tlog-tiles).')
}

/** An entry bundle: each entry's length (u16 BE), then its bytes; FormatError too-large over 65,535. */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  return concat(
    ...entries.flatMap((entry) => {
      if (entry.length > ENTRY_BYTES_MAX) {
        throw new FormatError('too-large', 'An entry has at most 65,535 bytes.', { bytes: entry.length })
      }
      return [Uint8Array.of(Math.floor(entry.length / 256), entry.length % 256), entry]
    }),
  )
}

/**
 * The entries of a bundle, as views of its bytes: at most 256 in a tile's bundle, `max` where the same layout serves for
 * another run of entries. Throws FormatError truncated, or too-large beyond `max` entries.
 */
export function decodeEntryBundle(bytes: Uint8Array, max = TILE_WIDTH): Uint8Array[] {
  const truncated = () => new FormatError('truncated', 'The bundle ends within an entry.')
  const entries: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    if (entries.length === max) throw new FormatError('too-large', `The bundle has more than ${max} entries.`)
    if (bytes.length < at + 2) throw truncated()
    const end = at + 2 + bytes[at]! * 256 + bytes[at + 1]!
    if (bytes.length < end) throw truncated()
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  return entries
}
