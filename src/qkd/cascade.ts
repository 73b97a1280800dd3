/**
 * Reconciliation by Cascade (Brassard, Salvail, EUROCRYPT '93): Bob finds his errors by asking Alice for parities.
 *
 * In each pass the bits are put in a new order and cut into blocks. A block whose parity differs holds an odd number
 * of errors, of which a binary search finds one. Each bit that is then corrected changes the parity of the blocks of
 * all other passes that hold it, and those that have become odd are searched as well. Every part whose parity is known
 * stays in a tree and is used again (Martinez-Mateo et al., arXiv:1407.3257), and the questions of all searches under
 * way go out together: one after the other they would disclose two to three per cent less, and take a round trip each.
 */
import { FormatError } from '../errors.ts'
import { shuffled } from './shuffle.ts'

/** Positions `from` to `to` − 1 in the order of a pass. */
export interface ParityRange {
  readonly pass: number
  readonly from: number
  readonly to: number
}

/** Asks Alice: one parity, 0 or 1, for each range. */
export type AskParities = (ranges: readonly ParityRange[]) => Promise<Uint8Array>

/** Sizes of the blocks, pass by pass. */
export type Schedule = (errorRate: number, bits: number) => readonly number[]

/** Four passes, each with blocks of twice the size (the original one, with 0.73 / Q). */
export const ORIGINAL: Schedule = (rate, bits) =>
  [1, 2, 4, 8].map((times) => within(Math.ceil(0.73 / rate) * times, bits))

/** Fourteen passes with blocks of powers of two (option 8 of arXiv:1407.3257): discloses less, asks more often. */
export const OPTION8: Schedule = (rate, bits) => {
  const alpha = Math.log2(1 / rate) - 0.5
  const sizes = [2 ** Math.ceil(alpha), 2 ** Math.ceil((alpha + 12) / 2), 4_096]
  while (sizes.length < 14) sizes.push(Math.ceil(bits / 2))
  return sizes.map((size) => within(size, bits))
}

export const PASSES_MAX = 14
/** Where next to no errors are expected, blocks are still cut as if there were some. */
const RATE_MIN = 1e-3
const RATE_MAX = 0.25

export interface Corrected {
  /** Parities that Alice disclosed. */
  readonly disclosed: number
  /** Bits that were flipped. */
  readonly errors: number
  /** Round trips. */
  readonly rounds: number
}

/** A range whose parity Alice has told, or that follows from two that she has. */
interface Part extends ParityRange {
  readonly alice: number
  bob: number
  /** The two halves, once she has been asked for the first. */
  halves?: readonly [Part, Part]
}

/** One order of the bits and its blocks. */
interface Pass {
  /** The bit at each position, and the position of each bit. */
  readonly order: Uint32Array
  readonly position: Uint32Array
  readonly size: number
  readonly blocks: Part[]
}

/** Corrects `bits` in place until no parity that is known differs. Throws FormatError if none can be right. */
export async function correct(
  bits: Uint8Array,
  errorRate: number,
  seed: Uint8Array,
  ask: AskParities,
  schedule: Schedule = OPTION8,
): Promise<Corrected> {
  const passes: Pass[] = []
  const found = { disclosed: 0, errors: 0, rounds: 0 }
  const askFor = async (ranges: readonly ParityRange[]) => {
    found.rounds++
    found.disclosed += ranges.length
    const parities = await ask(ranges)
    if (parities.length !== ranges.length) {
      throw new FormatError('bad-field', `Asked for ${ranges.length} parities, got ${parities.length}.`)
    }
    return parities
  }
  const parityOf = ({ order }: Pass, from: number, to: number) => {
    let parity = 0
    for (let at = from; at < to; at++) parity ^= bits[order[at]!]!
    return parity
  }
  /** Parts that may have become odd. */
  let suspects: Part[] = []
  const flip = (bit: number) => {
    bits[bit]! ^= 1
    found.errors++
    // Parities that were changed on their way contradict each other, and the same bit would be flipped for ever.
    if (found.errors > bits.length) throw new FormatError('bad-field', 'The parities contradict each other.')
    for (const pass of passes) {
      const at = pass.position[bit]!
      let part = pass.blocks[Math.floor(at / pass.size)]
      for (; part; part = part.halves?.[at < part.halves[0].to ? 0 : 1]) {
        part.bob ^= 1
        if (!part.halves) suspects.push(part)
      }
    }
  }
  /** Corrects what is known exactly, and returns the parts that are odd and have to be searched. */
  const open = (): Part[] => {
    const odd = new Set<Part>()
    while (suspects.length > 0) {
      const part = suspects.pop()!
      if (part.alice === part.bob) odd.delete(part)
      else if (part.to - part.from > 1) odd.add(part)
      else flip(passes[part.pass]!.order[part.from]!)
    }
    return [...odd].filter(({ alice, bob }) => alice !== bob)
  }

  const rate = Math.min(RATE_MAX, Math.max(RATE_MIN, errorRate))
  for (const [number, size] of schedule(rate, bits.length).entries()) {
    const order = shuffled(bits.length, seed, number)
    const position = new Uint32Array(bits.length)
    for (let at = 0; at < order.length; at++) position[order[at]!] = at
    const pass: Pass = { order, position, size, blocks: [] }
    const ranges: ParityRange[] = []
    for (let from = 0; from < bits.length; from += size) {
      ranges.push({ pass: number, from, to: Math.min(from + size, bits.length) })
    }
    const parities = await askFor(ranges)
    for (const [i, range] of ranges.entries()) {
      pass.blocks.push({ ...range, alice: parities[i]! & 1, bob: parityOf(pass, range.from, range.to) })
    }
    passes.push(pass)
    suspects = [...pass.blocks]
    for (let parts = open(); parts.length > 0; parts = open()) {
      const firsts = parts.map(({ pass, from, to }) => ({
        pass,
        from,
        to: from + Math.ceil((to - from) / 2),
      }))
      const answers = await askFor(firsts)
      for (const [i, part] of parts.entries()) {
        const first = { ...firsts[i]!, alice: answers[i]! & 1, bob: 0 }
        first.bob = parityOf(passes[part.pass]!, first.from, first.to)
        const second = {
          ...{ pass: part.pass, from: first.to, to: part.to },
          alice: part.alice ^ first.alice,
          bob: part.bob ^ first.bob,
        }
        part.halves = [first, second]
        suspects.push(first, second)
      }
    }
  }
  return found
}

/** Alice's side: parities of her bits in the order of any pass. */
export class Parities {
  readonly #bits: Uint8Array
  readonly #seed: Uint8Array
  /** By pass: the parity of all positions before each. */
  readonly #before: Uint8Array[] = []

  constructor(bits: Uint8Array, seed: Uint8Array) {
    this.#bits = bits
    this.#seed = seed
  }

  /** Throws FormatError for a range that there is not. */
  parity({ pass, from, to }: ParityRange): number {
    if (pass >= PASSES_MAX || from >= to || to > this.#bits.length) {
      throw new FormatError('bad-field', 'There is no such range of bits.', { pass, from, to })
    }
    this.#before[pass] ??= this.#prefix(pass)
    return this.#before[pass][from]! ^ this.#before[pass][to]!
  }

  /** Wipes what was derived from the bits. */
  wipe(): void {
    for (const before of this.#before) before?.fill(0)
  }

  #prefix(pass: number): Uint8Array {
    const order = shuffled(this.#bits.length, this.#seed, pass)
    const before = new Uint8Array(this.#bits.length + 1)
    for (let at = 0; at < order.length; at++) before[at + 1] = before[at]! ^ this.#bits[order[at]!]!
    return before
  }
}

function within(size: number, bits: number): number {
  return Math.max(2, Math.min(size, Math.ceil(bits / 2)))
}
