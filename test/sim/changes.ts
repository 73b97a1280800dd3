/**
 * Administrators: each wants one change of the membership after another, signs it with enough admins' keys, and
 * submits it through ordinary nodes, as `qat member` does. Several of them compete for the next place in the
 * order of changes. What their nodes' operators do meanwhile, start a node or make new keys, they do as well. One more
 * of them does nothing but give new keys to nodes that may have forgotten what they signed, for as long as that takes.
 */
import type { LedgerNode } from '../../node/core/ledger-node.ts'
import type { MembershipView, Submission } from '../../node/service.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { errorCode, errorMessage } from '../../src/errors.ts'
import { type Change, encodeChange } from '../../src/ledger/change.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { type Member, memberFromJson, type NodeMember } from '../../src/ledger/member.ts'
import { defaultCosigners, isNode } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import type { Random } from '../consensus/sim/random.ts'
import { type Cast, CLIENTS, GUEST, LEDGER, nodeMember, submitter } from './cast.ts'
import { isDiskFault } from './disk.ts'
import type { SimNode } from './node.ts'
import type { Possible, Voters } from './possible.ts'
import type { Timeline } from './timeline.ts'
import type { Transcript } from './transcript.ts'

export interface AdminWorld {
  readonly timeline: Timeline
  readonly random: Random
  readonly cast: Cast
  readonly nodes: readonly SimNode[]
  readonly possible: Possible
  readonly transcript: Transcript
  /** A disk may go back in time: quorums stay such that one node's memory does not matter. */
  readonly forgetting: boolean
  /** How often each kind of change took effect, and what came of the others. */
  readonly counts: Record<string, number>
  fail(finding: string): void
}

/** The members as an administrator sees them: what one node has applied. */
interface View extends MembershipView {
  readonly records: readonly Member[]
  readonly nodes: readonly NodeMember[]
  readonly validators: readonly NodeMember[]
}

/** Makes what the wish comes to, given the members of the moment; undefined if there is nothing to do any more. */
type Wish = (view: View) => Wanted | undefined
type Wanted = Pick<Change, 'what'> & Partial<Pick<Change, 'cosigners' | 'adminQuorum'>>

const THINK_MS_MAX = 2_500
const TIMEOUT_MS_MAX = 4_000
const NETWORK_MS_MAX = 20
/** How often a change is made anew, or submitted again, before its administrator gives it up. */
const TRIES_MAX = 6
/** How often it is looked for nodes that need new keys. */
const RENEW_MS = 400
/** Of fewer, all would have to sign. */
const VALIDATORS_MIN = 4

/** What an honest cluster may answer to a change, with which one has to try again or to make it anew. */
const EXPECTED = new Set([
  'stale-change',
  'bad-change',
  'not-caught-up',
  'not-permitted',
  'overloaded',
  'unavailable',
  'not-found',
])

export class Administrator {
  readonly #world: AdminWorld
  stopped = false

  constructor(world: AdminWorld) {
    this.#world = world
  }

  async run(): Promise<void> {
    const { random } = this.#world
    while (!this.stopped) {
      await this.#sleep(random.int(100, THINK_MS_MAX))
      const { name, wish } = this.#choose()
      await this.#pursue(name, wish)
    }
  }

  /** Gives every node that may have forgotten what it signed the keys that it has prepared. */
  async renew(): Promise<void> {
    while (!this.stopped) {
      await this.#sleep(RENEW_MS)
      for (const node of this.#world.nodes) {
        if (this.#forgetful(node)) await this.#pursue('renewals', (view) => this.#renewal(view, node))
      }
    }
  }

  #forgetful(node: SimNode): boolean {
    return node.up && node.recovering && node.ledger?.status().role === 'recovering'
  }

  #renewal({ nodes }: View, node: SimNode): Wanted | undefined {
    const record = nodes.find(({ name }) => name === node.name)
    const keys = this.#world.cast.keysOf(node.name, node.generations - 1)
    if (record === undefined || record.peerId === keys.peerId || !this.#forgetful(node)) return undefined
    return { what: { put: { ...nodeMember(record.kind, node.name, keys), addresses: record.addresses } } }
  }

  /** Kinds of changes, the more wanted more often. */
  #choose(): { name: string; wish: Wish } {
    const wishes: readonly (readonly [share: number, name: string, wish: Wish])[] = [
      [4, 'joins', (view) => this.#join(view)],
      [5, 'promotions', (view) => this.#promote(view)],
      [4, 'removals', (view) => this.#remove(view)],
      [2, 'key replacements', (view) => this.#replaceKeys(view)],
      [1, 'moves', (view) => this.#move(view)],
      [2, 'guests', (view) => this.#guest(view)],
      [2, 'quorums', (view) => this.#quorums(view)],
    ]
    const [, name, wish] = this.#world.random.pick(
      wishes.flatMap((each) => Array.from({ length: each[0] }, () => each)),
    )
    return { name, wish }
  }

  /** Until the change is final, or there is nothing to do any more. */
  async #pursue(name: string, wish: Wish): Promise<void> {
    const { counts, transcript } = this.#world
    for (let tries = 0; tries < TRIES_MAX && !this.stopped; tries++) {
      const view = this.#view()
      const wanted = view && wish(view)
      if (view === undefined) await this.#sleep(300)
      if (view === undefined || wanted === undefined) continue
      const { entry, change, valid, after } = await this.#sign(view, wanted)
      const renews = name === 'renewals'
      // An administrator who sees that too few could sign then, and too few to mend it, lets it be.
      if (!renews && !this.#world.possible.allows(change.sequence, after)) {
        await this.#sleep(300)
        continue
      }
      if (valid) this.#world.possible.submitted(change.sequence, after)
      transcript.note(
        'admins',
        () => `${name}: change ${change.sequence}, ${describe(change)}, ${entry.id.slice(0, 6)}`,
      )
      const outcome = await this.#submit(entry)
      const what = `change: ${outcome === 'final' ? name : outcome}`
      counts[what] = (counts[what] ?? 0) + 1
      if (outcome === 'final' && !valid) this.#world.fail('a change with too few signatures is final')
      if (outcome === 'final') return this.#enter(change)
    }
  }

  /** A node whose record has just been put: its operator starts it, if it does not run. */
  #enter({ what }: Change): void {
    if (!('put' in what)) return
    const { timeline, random, nodes } = this.#world
    const node = nodes.find(({ name }) => name === what.put.name)
    timeline.after(random.int(1, 1_000), () => node?.start())
  }

  #view(): View | undefined {
    const { random, nodes } = this.#world
    const views = nodes.flatMap(({ ledger }) => (ledger === undefined ? [] : [ledger.membership()]))
    if (views.length === 0) return undefined
    // `qat` asks one node, and that one may be behind.
    const newest = views.reduce((a, b) => (a.sequence >= b.sequence ? a : b))
    const view = random.chance(0.8) ? newest : random.pick(views)
    const records = view.members.map(memberFromJson)
    const members = records.filter(isNode)
    return {
      ...view,
      records,
      nodes: members,
      validators: members.filter(({ kind }) => kind === 'validator'),
    }
  }

  async #sign(
    view: View,
    { what, ...quorums }: Wanted,
  ): Promise<{ entry: Entry; change: Change; valid: boolean; after: Voters }> {
    const { random, cast } = this.#world
    const grown = 'put' in what && what.put.kind === 'validator' && !named(view.validators, what.put.name)
    const shrunk = 'remove' in what && named(view.validators, what.remove)
    const validators = view.validators
      .map(({ name }) => name)
      .filter((name) => !shrunk || name !== what.remove)
      .concat(grown ? [what.put.name] : [])
    const change: Change = {
      ledger: LEDGER,
      sequence: view.sequence + 1,
      cosigners: defaultCosigners(validators.length),
      adminQuorum: view.adminQuorum,
      ...quorums,
      what,
    }
    const hasty = view.adminQuorum > 1 && random.chance(0.1)
    const signers: readonly Signer[] = cast.admins.slice(0, view.adminQuorum - (hasty ? 1 : 0))
    const entry = await signEntry(PAYLOAD_TYPES.change, encodeChange(change), ...signers)
    const after = { names: validators, cosigners: change.cosigners }
    return { entry, change, valid: !hasty, after }
  }

  // ---- wishes

  /** A newcomer, or one that was removed, enters as a learner. Nodes that have left come back with their keys. */
  #join({ nodes }: View): Wanted | undefined {
    const { random, cast } = this.#world
    const outside = this.#world.nodes.filter(({ name }) => !named(nodes, name))
    if (outside.length === 0) return undefined
    const { name, generation } = random.pick(outside)
    return { what: { put: nodeMember('learner', name, cast.keysOf(name, generation)) } }
  }

  #promote({ nodes }: View): Wanted | undefined {
    const learner = nodes.find(({ kind }) => kind === 'learner')
    return learner && { what: { put: { ...learner, kind: 'validator' } } }
  }

  /** The leader as often as all others. */
  #remove({ nodes, validators }: View): Wanted | undefined {
    const { random } = this.#world
    const leader = this.#world.nodes.find(({ raft }) => raft?.role === 'leader')?.name
    const name = random.chance(0.5) && leader !== undefined ? leader : random.pick(nodes).name
    if (!named(nodes, name) || (named(validators, name) && validators.length <= VALIDATORS_MIN))
      return undefined
    return { what: { remove: name } }
  }

  /** `qat rotate` makes the keys before anyone hears of them. */
  #replaceKeys({ nodes }: View): Wanted | undefined {
    const { random, cast, forgetting } = this.#world
    const record = random.pick(nodes)
    const node = this.#world.nodes.find(({ name }) => name === record.name)
    if (node === undefined || forgetting) return undefined
    // Keys that an earlier attempt has made are used.
    if (node.generations === node.generation + 1) node.generations++
    return {
      what: { put: nodeMember(record.kind, record.name, cast.keysOf(node.name, node.generations - 1)) },
    }
  }

  #move({ nodes }: View): Wanted {
    const { random } = this.#world
    const record = random.pick(nodes)
    return {
      what: { put: { ...record, addresses: [`/dns4/${record.name}.example/tcp/${random.int(2, 99)}`] } },
    }
  }

  #guest({ records }: View): Wanted {
    const { cast } = this.#world
    const known = records.some(({ name }) => name === GUEST)
    return { what: known ? { remove: GUEST } : { put: submitter(GUEST, cast.clients[CLIENTS - 1]!) } }
  }

  #quorums({ records, validators, cosigners, adminQuorum }: View): Wanted {
    const { random, cast, forgetting } = this.#world
    const least = forgetting ? defaultCosigners(validators.length) : Math.floor(validators.length / 2) + 1
    const put = records.find(({ name }) => name === 'admin-0')!
    return {
      what: { put },
      cosigners: random.chance(0.5) ? random.int(least, validators.length) : cosigners,
      adminQuorum: random.chance(0.5) ? random.int(1, cast.admins.length) : adminQuorum,
    }
  }

  // ---- submitting

  /** Submits a change until its fate is known: 'final', the code of a refusal, or 'unknown'. */
  async #submit(entry: Entry): Promise<string> {
    const { random, nodes, counts } = this.#world
    for (let tries = 0; tries < TRIES_MAX && !this.stopped; tries++) {
      const answer = await this.#call(random.pick(nodes), random.int(500, TIMEOUT_MS_MAX), entry)
      if (typeof answer !== 'string' && answer?.status === 'final') return 'final'
      if (typeof answer !== 'string') continue
      counts[`change: ${answer}`] = (counts[`change: ${answer}`] ?? 0) + 1
      // It may be caught up in a moment.
      if (answer === 'not-caught-up') await this.#sleep(random.int(200, 1_000))
      else if (answer === 'stale-change' || answer === 'bad-change' || answer === 'not-permitted')
        return answer
    }
    return 'unknown'
  }

  /** What a node answers: a submission, or the code of an error; undefined if nothing came. */
  #call(node: SimNode, timeoutMs: number, entry: Entry): Promise<Submission | string | undefined> {
    const { timeline, random, fail } = this.#world
    return new Promise((resolve) => {
      const back = (answer: Submission | string | undefined) =>
        timeline.after(random.int(1, NETWORK_MS_MAX), () => resolve(answer))
      timeline.after(timeoutMs + 500, () => resolve(undefined))
      timeline.after(random.int(1, NETWORK_MS_MAX), () => {
        const { life } = node
        const ledger: LedgerNode | undefined = node.ledger
        if (life === undefined || ledger === undefined) return back(undefined)
        life.run(() => {
          ledger.submit(entry, 'final', timeoutMs).then(
            (answer) => life.alive && back(answer),
            (error: unknown) => {
              if (!life.alive) return
              const code = errorCode(error)
              if (!isDiskFault(error) && !EXPECTED.has(code)) {
                fail(`${node.name} answers an administrator with ${code}: ${errorMessage(error)}`)
              }
              back(code)
            },
          )
        })
      })
    })
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.timeline.after(ms, resolve))
  }
}

function named(members: readonly Member[], name: string): boolean {
  return members.some((member) => member.name === name)
}

function describe({ what }: Change): string {
  return 'put' in what ? `${what.put.kind} ${what.put.name}` : `without ${what.remove}`
}
