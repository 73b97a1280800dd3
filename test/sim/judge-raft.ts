/**
 * The promises of Raft (figure 3 of the paper) and of the order between disk and network, judged by what each
 * honest node's state machine, disk and frames show; what liars say counts for nothing. Quorums are those of the membership after
 * the block that is judged; of the disks of liars nothing is known, so they count as holding what it takes.
 */

import type { Lead } from '../../consensus/messages.ts'
import type { BlockRef, HardState } from '../../consensus/types.ts'
import { decodeCertified, decodeMessage } from '../../consensus/wire.ts'
import { blockKey, META } from '../../node/store/keys.ts'
import { NO_HARD_STATE, readHardState } from '../../node/store/records.ts'
import { fromU64, toHex } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import type { Block } from '../../src/ledger/block.ts'
import { voteMessage } from '../../src/ledger/vote.ts'
import type { Blocks } from './blocks.ts'
import { LEDGER } from './cast.ts'
import type { Judged, Report } from './judge.ts'
import type { MembersTwin } from './members-twin.ts'

interface Seen {
  incarnation: number
  term: number
  commit: number
  leading: boolean
  tail: number
}

export class RaftJudge {
  readonly #nodes: () => readonly Judged[]
  readonly #blocks: Blocks
  readonly #members: MembersTwin
  readonly #fail: Report
  readonly #leaders = new Map<number, string>()
  /** Whom honest nodes take for the leader of each term, which takes a certificate. */
  readonly #followed = new Map<number, string>()
  readonly #met = new Map<string, string>()
  readonly #seen = new Map<string, Seen>()
  /** By the bytes on a disk, which are the same object until it is written again. */
  readonly #hardStates = new WeakMap<Uint8Array, HardState>()
  readonly #locks = new WeakMap<Uint8Array, BlockRef>()
  /** Certificates of terms that have been verified here. */
  readonly #shown = new Set<string>()
  readonly #suite: SignatureSuite
  /** By height: hash, and term of the leader that committed it. */
  readonly committed: { hash: string; term: number }[]

  constructor(
    nodes: () => readonly Judged[],
    blocks: Blocks,
    members: MembersTwin,
    genesis: string,
    suite: SignatureSuite,
    fail: Report,
  ) {
    this.#suite = suite
    this.#nodes = nodes
    this.#blocks = blocks
    this.#members = members
    this.#fail = fail
    this.committed = [{ hash: genesis, term: 0 }]
  }

  /** An honest node writes a block: one that builds on everything decided in earlier terms. */
  builds(node: Judged, block: Block): void {
    this.met(node, block)
    const { id, seal } = block
    const height = this.committed.findLastIndex((entry) => entry.term < seal.term)
    if (seal.term === 0 || this.#blocks.ancestor(id, height)?.id === this.committed[height]!.hash) return
    this.#fail(
      `${node.name} takes block ${seal.height} of term ${seal.term} without committed block ${height}`,
    )
  }

  /** Log Matching, with hashes: of an honest proposer there is one block for each height and term. */
  met({ name }: Judged, { id, seal }: Block): void {
    if (this.#nodes().some((node) => !node.honest && node.name === seal.proposer)) return
    const place = `${seal.height}/${seal.term}`
    const other = this.#met.get(place)
    if (other !== undefined && other !== id) this.#fail(`${name} has a second block for height/term ${place}`)
    this.#met.set(place, id)
  }

  /** A vote goes to the disk: for a base that ranks as high as what the node was locked on. */
  votes({ name, disk }: Judged, bytes: Uint8Array): void {
    const { term, vote } = this.#hardState(bytes)
    const before = this.#hardState(disk.durable(META.hardState))
    const lock = this.#lock(disk.durable(META.certified))
    if (vote === undefined || lock === undefined || (before.term === term && before.vote !== undefined))
      return
    const { base, candidate } = vote
    const block = this.#blocks.get(base.hash)
    if (block !== undefined && block.seal.term !== base.term)
      this.#fail(`${name} votes for ${candidate}, who calls block ${base.height} one of term ${base.term}`)
    if (base.term < lock.term || (base.term === lock.term && base.height < lock.height)) {
      this.#fail(
        `${name} votes for ${candidate} in term ${term}, whose base ${base.height} of term ${base.term} ranks below its lock ${lock.height} of term ${lock.term}`,
      )
    }
  }

  /** A node has taken a step. */
  observe(node: Judged): void {
    const { raft, name, incarnation } = node
    if (raft === undefined) return
    const { term, commit, role, leader } = raft
    if (leader !== undefined) {
      const other = this.#followed.get(term) ?? leader
      if (other !== leader) this.#fail(`${name} follows ${leader} in term ${term}, others ${other}`)
      this.#followed.set(term, leader)
    }
    let seen = this.#seen.get(name)
    if (seen === undefined || seen.incarnation !== incarnation) {
      const durableTerm = seen?.term ?? 0
      seen = { incarnation, term: durableTerm, commit, leading: false, tail: 0 }
      this.#seen.set(name, seen)
      const lock = this.#lock(node.disk.durable(META.certified))
      const { block } = raft.certified
      if (lock && (block.term < lock.term || (block.term === lock.term && block.height < lock.height)))
        this.#fail(`${name} forgets at a restart that it is locked on block ${lock.height}`)
      // What a node has shown of its term it has made durable first, so a restart does not forget it.
    }
    const leading = role === 'leader'
    if (term === seen.term && commit === seen.commit && leading === seen.leading && !leading) return
    const { tail } = raft
    if (tail.term > term) this.#fail(`${name}: a block of term ${tail.term} in a log of term ${term}`)
    if (commit < seen.commit) this.#fail(`${name}: the commit height fell to ${commit}`)
    if (leading) {
      if (!seen.leading || seen.term !== term) this.#elected(node)
      else if (tail.height < seen.tail) this.#fail(`${name}: a leader shortened its log`)
    }
    if (commit > seen.commit) this.#commits(node, seen.commit)
    seen.term = term
    seen.commit = commit
    seen.leading = leading
    seen.tail = tail.height
  }

  /** Election Safety and Leader Completeness. */
  #elected({ name, incarnation, raft }: Judged): void {
    const { term, tail } = raft!
    const life = `${name}#${incarnation}`
    const other = this.#leaders.get(term)
    if (other !== undefined && other !== life) this.#fail(`two leaders of term ${term}: ${other} and ${life}`)
    this.#leaders.set(term, life)
    const height = this.committed.findLastIndex((entry) => entry.term < term)
    if (this.#blocks.ancestor(tail.hash, height)?.id !== this.committed[height]!.hash) {
      this.#fail(`${name} leads term ${term} without committed block ${height}`)
    }
    if (!this.#mayLead(name, tail.hash, raft!.commit))
      this.#fail(`${name} leads term ${term} and is no voter`)
  }

  /** A voter of the latest configuration in its log, or of one that the latest may yet give way to. */
  #mayLead(name: string, tail: string, commit: number): boolean {
    for (let at = this.#blocks.get(tail); at !== undefined; at = this.#blocks.get(toHex(at.seal.previous))) {
      if (this.#members.after(at.id).validatorByName.has(name)) return true
      if (at.seal.height <= commit) return false
    }
    return false
  }

  /** Committed blocks never change, and are decided when they first count as committed. */
  #commits({ name, raft }: Judged, from: number): void {
    const { commit, tail, term, role } = raft!
    const news = commit >= this.committed.length
    for (let height = from + 1; height <= commit; height++) {
      const hash = this.#blocks.ancestor(tail.hash, height)?.id
      const known = this.committed[height]
      if (hash === undefined) {
        this.#fail(`${name} commits block ${height}, which nobody has proposed`)
        return
      }
      if (known !== undefined) {
        if (known.hash !== hash) this.#fail(`${name} commits another block at height ${height}`)
        continue
      }
      this.#decided(name, height, hash)
      this.committed.push({ hash, term })
    }
    if (!news || role !== 'leader') return
    const last = this.#blocks.get(this.committed[commit]!.hash)!
    if (last.seal.term !== term) {
      this.#fail(`${name} counts replicas of term ${last.seal.term} while leading term ${term}`)
    }
  }

  /** A quorum of the voters has the block on its disk, and is locked on it or on one above it. */
  #decided(name: string, height: number, hash: string): void {
    // A change counts from its own block on.
    const { validatorByName, cosigners } = this.#members.after(hash)
    const voters = this.#nodes().filter((node) => validatorByName.has(node.name))
    const holders = voters.filter(
      (node) => node.diskLost || !node.honest || this.#durableBlock(node, height) === hash,
    )
    if (holders.length < cosigners) {
      this.#fail(
        `${name} commits block ${height}, durable on only ${holders.length} of ${voters.length} voters`,
      )
    }
    const locked = voters.filter(
      (node) => node.diskLost || !node.honest || this.#isLockedOn(node, height, hash),
    )
    if (locked.length < cosigners) {
      this.#fail(
        `${name} commits block ${height}; only ${locked.length} of ${voters.length} voters are locked on it`,
      )
    }
  }

  /** What an honest node shows of a term is a certificate: as many votes as a quorum, of different voters. */
  #shows({ name }: Judged, { leader, term, base, votes }: Lead): void {
    if (this.#blocks.get(base.block.hash) === undefined) return
    const { validatorByName, cosigners } = this.#members.after(base.block.hash)
    const voters = new Set(votes.map(({ from }) => from).filter((from) => validatorByName.has(from)))
    if (voters.size < cosigners)
      this.#fail(`${name} shows ${voters.size} votes for ${leader} in term ${term}`)
    const id = `${term} ${leader} ${votes.length}`
    if (this.#shown.has(id)) return
    this.#shown.add(id)
    const message = voteMessage({ ledger: LEDGER, term, candidate: leader, base: base.block })
    const verified = votes.map(async ({ from, signature }) => {
      const key = validatorByName.get(from)?.nodeKey
      return key !== undefined && (await this.#suite.verify(key, message, signature)) ? from : undefined
    })
    void Promise.all(verified).then((names) => {
      const good = new Set(names.filter((from) => from !== undefined))
      if (good.size < cosigners)
        this.#fail(`${name} shows ${good.size} good votes for ${leader} in term ${term}`)
    })
  }

  #isLockedOn({ disk }: Judged, height: number, hash: string): boolean {
    const lock = this.#lock(disk.durable(META.certified))
    return lock !== undefined && this.#blocks.ancestor(lock.hash, height)?.id === hash
  }

  #lock(bytes: Uint8Array | undefined): BlockRef | undefined {
    if (bytes === undefined) return undefined
    const lock = this.#locks.get(bytes) ?? decodeCertified(bytes).block
    this.#locks.set(bytes, lock)
    return lock
  }

  /** The hash of the block that a power cut now would leave at `height`. */
  #durableBlock({ disk }: Judged, height: number): string | undefined {
    const bytes = disk.durable(blockKey(height))
    return bytes && this.#blocks.read(bytes).id
  }

  #hardState(bytes: Uint8Array | undefined): HardState {
    if (bytes === undefined) return NO_HARD_STATE
    const state = this.#hardStates.get(bytes) ?? readHardState(bytes)
    this.#hardStates.set(bytes, state)
    return state
  }

  /** Nothing leaves that rests on what the disk does not hold. */
  sends(node: Judged, to: string, bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    const { name, disk } = node
    const { kind, term } = message
    const state = this.#hardState(disk.durable(META.hardState))
    const future = kind === 'pre-vote' || (kind === 'pre-vote-reply' && message.granted)
    if (!future && term !== state.term) {
      this.#fail(`${name} sends ${kind} of term ${term}; its disk says ${state.term}`)
    }
    const vote = kind === 'vote' ? name : kind === 'vote-reply' && message.signature ? to : undefined
    if (vote !== undefined && state.vote?.candidate !== vote) {
      this.#fail(`${name} shows a vote for ${vote} in term ${term} that its disk does not hold`)
    }
    if (kind === 'lead') this.#shows(node, message)
    if ((kind === 'acknowledge' || kind === 'locked') && this.#blocks.get(message.hash)?.seal.term !== term) {
      this.#fail(`${name} says ${kind} of block ${message.height} in term ${term}, which is not the block's`)
    }
    if (kind === 'append-reply' && disk.durable(blockKey(message.match)) === undefined) {
      this.#fail(`${name} says ${kind} ${message.match}; its disk does not hold that block`)
    }
    if (kind === 'acknowledge' && this.#durableBlock(node, message.height) !== message.hash) {
      this.#fail(`${name} acknowledges block ${message.height}; its disk does not hold it`)
    }
    if (kind === 'locked' && !this.#isLockedOn(node, message.height, message.hash)) {
      this.#fail(`${name} says that it is locked on block ${message.height}; its disk does not hold the lock`)
    }
  }
}

/** The height that a power cut now would leave as applied; -1 if not even genesis. */
export function durableHeight({ disk }: Judged): number {
  const bytes = disk.durable(META.applied)
  return bytes === undefined ? -1 : fromU64(bytes)
}
