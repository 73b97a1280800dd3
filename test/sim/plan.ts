/** What a seed decides before the first event: size, pace, weather, and which kinds of faults there will be. */

import { defaultCosigners } from '../../src/ledger/membership.ts'
import type { Random } from '../consensus/sim/random.ts'
import { NODES_MAX } from './cast.ts'
import { FAULT_KINDS, type FaultKind } from './faults.ts'
import type { Weather } from './network.ts'
import type { Pace } from './node.ts'

/** Fixes what the seed would decide, so that a seed kept for regression goes on to mean something. */
export interface SimOptions {
  readonly nodes?: number
  /** ML-DSA itself, or the cheap stand-in. */
  readonly signatures?: 'real' | 'stand-in'
  readonly liars?: number
  /** Who changes the membership. */
  readonly admins?: number
  /** 1: an old copy of one node's disk is put back; not together with liars. */
  readonly oldCopies?: number
}

export interface Plan {
  readonly nodes: number
  readonly realSignatures: boolean
  readonly liars: number
  /** They change the membership, each on its own: none, one or two. */
  readonly admins: number
  /** Nodes beside the validators of genesis, which admins may let in. */
  readonly newcomers: number
  /** The disk of one node will be replaced by an old copy of it. */
  readonly oldCopy: boolean
  readonly pace: Pace
  readonly weather: Weather
  readonly kinds: readonly FaultKind[]
  /** Milliseconds between two faults, on average. */
  readonly faultEveryMs: number
  /** Milliseconds between two requests of a client, at most. */
  readonly thinkMaxMs: number
}

export function planOf(random: Random, options: SimOptions): Plan {
  const drawn = {
    nodes: random.int(4, 7),
    real: random.chance(0.03),
    lies: random.chance(0.15),
    share: random.next(),
  }
  const changing = random.chance(0.35)
  const admins = random.chance(0.4) ? 2 : 1
  const newcomers = random.int(1, 2)
  const forgets = random.chance(0.1)
  const nodes = options.nodes ?? drawn.nodes
  const faulty = Math.floor((nodes - 1) / 3)
  // More than can be absent may lie: then the ledger may stand still, but nothing else.
  const tolerated = 2 * defaultCosigners(nodes) - nodes - 1
  const drawnLiars = drawn.share < 0.9 ? 1 + Math.floor((drawn.share / 0.9) * faulty) : tolerated
  const liars = Math.min(options.liars ?? (drawn.lies ? drawnLiars : 0), tolerated)
  const honest = liars === 0
  const changes = options.admins ?? (changing ? admins : 0)
  const oldCopy = honest && (options.oldCopies === undefined ? forgets : options.oldCopies > 0)
  const rough = random.chance(0.7) ? random.next() : 0
  const delayMaxMs = random.pick([2, 10, 40, 120])
  return {
    nodes,
    realSignatures: options.signatures === undefined ? drawn.real : options.signatures === 'real',
    liars,
    admins: changes,
    newcomers: changes > 0 ? Math.min(newcomers, NODES_MAX - nodes) : 0,
    oldCopy,
    pace: {
      syncMaxMs: random.pick([2, 10, 40]),
      readMaxMs: random.chance(0.3) ? random.int(1, 5) : 0,
      verifyMaxMs: random.chance(0.5) ? random.int(1, 30) : 0,
    },
    weather: {
      loss: rough * 0.1,
      duplicate: random.next() * 0.05,
      detour: random.chance(0.5) ? rough * 0.1 : 0,
      delayMaxMs,
      detourMaxMs: delayMaxMs + 1_000,
    },
    // A seed with few kinds of faults goes deeper into each of them than one with all.
    kinds: FAULT_KINDS.filter((kind) => random.chance(0.5) && !(oldCopy && kind === 'lostDisks')),
    faultEveryMs: random.int(300, 2_500),
    thinkMaxMs: random.pick([300, 1_000, 3_000]),
  }
}
