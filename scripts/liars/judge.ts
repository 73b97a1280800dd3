/** What a run with a liar is judged by: values in, verdicts out. */

import type { NodeStatus } from '../../node/service.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { FormatError } from '../../src/errors.ts'
import { accusedName, type Known, verifyEvidence } from '../../src/ledger/contradiction.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { Evidence } from '../../src/ledger/evidence.ts'
import { evidenceFromEntry } from '../../src/ledger/evidence-event.ts'
import type { Act } from './acts/act.ts'

/**
 * The longest time without a final entry while all honest nodes run. The worst leader is one that orders and never signs
 * as the log: ten seconds until the others lose patience, an election, and all of it twice on a busy machine.
 */
export const UNAVAILABLE_MS_MAX = 30_000

/** The longest that one entry may wait: under a slow leader until its submitter is passed over, and after an election. */
export const WAIT_MS_MAX = 60_000

/** The most memory that an honest process may ever hold. It takes 230 to 330 MiB. */
export const RSS_MIB_MAX = 600

/** What is counted, and what of it must not be. */
export interface Counts {
  /** How often each act was told, by its name. */
  readonly byAct: Readonly<Record<string, number>>
  /** Heights at which honest nodes have different blocks. */
  readonly splits: number
  /** Honest processes that ended. */
  readonly ended: number
  /** Pieces of evidence against an honest name, or that do not hold. */
  readonly framed: number
  /** Names in the evidence that honest nodes hold. */
  readonly named: readonly string[]
  /** Connections between honest nodes that one of them closed as those of a liar. */
  readonly blamed: number
  /** Acknowledged entries that another node cannot prove, or not so that it holds offline. */
  readonly lost: number
  /** Entries of honest clients that were refused for good. */
  readonly refused: number
  /** Entries that a node took and that never became final, though no promise was given. */
  readonly neverFinal: number
  readonly longestUnavailableMs: number
  /** The longest that a client waited until its entry was final. */
  readonly longestWaitMs: number
  /** The most memory that an honest process held. */
  readonly rssMaxMiB: number
}

/** What should not have been, in sentences; empty if all held. */
export function faultsOf(counts: Counts, liar: string, acts: readonly Act[]): string[] {
  const { splits, ended, framed, blamed, lost, refused, neverFinal, named, byAct } = counts
  const { longestUnavailableMs, longestWaitMs, rssMaxMiB } = counts
  const faults: string[] = []
  if (splits > 0) faults.push(`at ${splits} heights the honest nodes have different blocks`)
  if (ended > 0) faults.push(`${ended} times an honest process ended`)
  if (framed > 0) faults.push(`${framed} pieces of evidence accuse an honest node, or do not hold`)
  if (blamed > 0) faults.push(`${blamed} times an honest node closed the connection of another as a liar's`)
  if (lost > 0) faults.push(`${lost} acknowledged entries are lost`)
  if (refused > 0) faults.push(`${refused} entries of honest clients were refused for good`)
  if (neverFinal > 0) faults.push(`${neverFinal} entries that nodes had taken never became final`)
  if (longestUnavailableMs > UNAVAILABLE_MS_MAX) {
    faults.push(`nothing became final for ${longestUnavailableMs} ms; ${UNAVAILABLE_MS_MAX} are allowed`)
  }
  if (longestWaitMs > WAIT_MS_MAX) {
    faults.push(`an entry became final only after ${longestWaitMs} ms; ${WAIT_MS_MAX} are allowed`)
  }
  if (rssMaxMiB > RSS_MIB_MAX) {
    faults.push(`an honest process held ${rssMaxMiB} MiB; ${RSS_MIB_MAX} are allowed`)
  }
  const convicting = acts.filter(({ name, convicts }) => convicts && (byAct[name] ?? 0) > 0)
  if (convicting.length > 0 && !named.includes(liar)) {
    faults.push(`no evidence names ${liar}, who told ${convicting.map(({ name }) => name).join(', ')}`)
  }
  return faults
}

/** Whether all that the nodes have taken is final somewhere; undefined for a node that does not answer. */
export function isServed(
  statuses: readonly (Pick<NodeStatus, 'pending' | 'size' | 'finalSize'> | undefined)[],
): boolean {
  const answers = statuses.filter((status) => status !== undefined)
  const size = Math.max(...answers.map((status) => status.size))
  return (
    answers.length > 0 &&
    answers.every(({ pending }) => pending === 0) &&
    answers.some(({ finalSize }) => finalSize === size)
  )
}

/** Heights at which nodes differ; of each node the hashes of its blocks by height, a gap where it has none. */
export function splitsOf(chains: readonly (readonly (string | undefined)[])[]): number[] {
  const heights = Math.max(0, ...chains.map((chain) => chain.length))
  return Array.from({ length: heights }, (_, height) => height).filter((height) => {
    const hashes = chains.map((chain) => chain[height]).filter((hash) => hash !== undefined)
    return new Set(hashes).size > 1
  })
}

export interface Accusations {
  /** Accused by evidence that holds, sorted. */
  readonly named: readonly string[]
  /** Pieces against anyone but the liar, and pieces that do not hold. */
  readonly framed: number
}

/** @param pieces undefined for one that could not be read */
export async function accusationsOf(
  suite: SignatureSuite,
  pieces: readonly (Evidence | undefined)[],
  known: Known,
  liar: string,
): Promise<Accusations> {
  const names = await Promise.all(
    pieces.map(async (evidence) => {
      if (!evidence) return undefined
      const holds = await verifyEvidence(suite, evidence).then(
        () => true,
        () => false,
      )
      return holds ? (accusedName(evidence, known) ?? 'unknown') : undefined
    }),
  )
  return {
    named: [...new Set(names.filter((name) => name !== undefined))].sort(),
    framed: names.filter((name) => name !== liar).length,
  }
}

/**
 * Names that events in the ledger accuse by evidence that holds. What does not hold accuses nobody: anyone who may log
 * can have it recorded.
 */
export async function accusedIn(
  suite: SignatureSuite,
  entries: readonly Entry[],
  known: Known,
): Promise<string[]> {
  const pieces = entries.flatMap((entry) => {
    try {
      return evidenceFromEntry(entry)
    } catch (error) {
      if (error instanceof FormatError) return []
      throw error
    }
  })
  const holding = await Promise.all(
    pieces.map((piece) =>
      verifyEvidence(suite, piece).then(
        () => true,
        () => false,
      ),
    ),
  )
  return pieces.filter((_, i) => holding[i]).map((piece) => accusedName(piece, known) ?? 'unknown')
}

/** Lines of a node's log by which it closed the connection of one of these peers as that of a liar. */
export function blamedIn(log: string, honest: readonly string[]): number {
  let blamed = 0
  for (const line of log.split('\n')) {
    if (!line.includes('broke the protocol')) continue
    const { peer, times = 1 } = parsed(line)
    if (typeof peer === 'string' && honest.includes(peer)) blamed += times
  }
  return blamed
}

function parsed(line: string): { readonly peer?: unknown; readonly times?: number } {
  try {
    return JSON.parse(line)
  } catch {
    return {}
  }
}
