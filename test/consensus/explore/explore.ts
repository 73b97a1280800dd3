/**
 * Explores every state that three honest nodes of the real Raft and one liar can reach within small bounds, breadth
 * first. What has been said is a set, and anyone may act on it at any time, again, or never: so loss, delay, repetition
 * and reordering need no steps of their own. What a node does with an input depends on that node alone, so it is
 * computed once; a state of the cluster is three numbers of nodes and the numbers of what was said.
 *
 * Acknowledgements, lock statements and votes are delivered all at once where they reach a quorum: fewer of them change
 * nothing but what is still missing. States that differ by the names of honest nodes alone are one.
 */
import { Broken, blockOf, chainOf, ExploredNode, GENESIS, HONEST, holds, LIAR, proposerOf } from './node.ts'

export interface Bounds {
  readonly terms: number
  readonly heights: number
  /** Steps and the sync that makes them durable are two, so that crashes come between. */
  readonly split?: boolean
  /** Without it the fourth server is silent. */
  readonly liar?: boolean
  /** Nodes crash and restart. */
  readonly restarts?: boolean
  readonly statesMax?: number
}

export interface Explored {
  readonly states: number
  readonly depth: number
  /** Every state within the bounds was seen. */
  readonly completed: boolean
  /** Kinds of nodes, and steps that were tried. */
  readonly nodes: number
  readonly steps: number
  /** Blocks that some state has decided, by how many heights: that the exploration gets anywhere. */
  readonly decidedMax: number
  readonly broken?: { readonly promise: string; readonly trace: readonly string[] }
}

export interface Progress {
  readonly depth: number
  readonly states: number
  readonly frontier: number
}

/** What there is to know of a kind of node without rebuilding it. */
interface Kind {
  readonly history: readonly string[]
  readonly self: string
  readonly term: number
  readonly role: string
  readonly candidate: string
  readonly base: string
  readonly leader: string
  readonly leaderBase: string
  readonly tip: string
  readonly commit: string
  readonly lock: string
  readonly unsynced: boolean
  readonly lines: readonly string[]
  readonly next: Map<string, Step>
}

type Step = { readonly kind: number; readonly said: readonly number[]; readonly broken?: string }

/** What was said so far, and what follows from it. Blocks are named by their hashes. */
interface Heard {
  readonly acknowledged: ReadonlyMap<string, ReadonlySet<string>>
  readonly locked: readonly { readonly from: string; readonly hash: string }[]
  readonly stands: readonly { readonly candidate: string; readonly term: number; readonly base: string }[]
  /** By candidate, term and base: who votes for it, honest candidates themselves among them. */
  readonly votes: ReadonlyMap<string, ReadonlySet<string>>
  readonly leads: readonly { readonly leader: string; readonly term: number; readonly base: string }[]
  readonly blocks: ReadonlySet<string>
  /** The ledger's certificate of these can be shown. */
  readonly final: ReadonlySet<string>
  /** What can be shown for a block, be it enough or not. */
  proof(hash: string): string
  readonly lies: boolean
}

const PERMUTATIONS = ['ABC', 'ACB', 'BAC', 'BCA', 'CAB', 'CBA']
const K = 3

function rename(text: string, permutation: string): string {
  return text.replace(/[ABC]/g, (name) => permutation['ABC'.indexOf(name)]!)
}

/** Permutation that undoes the one given. */
function inverse(permutation: string): string {
  return [...'ABC'].map((name) => 'ABC'[permutation.indexOf(name)]).join('')
}

export async function explore(bounds: Bounds, onDepth?: (progress: Progress) => void): Promise<Explored> {
  return new Exploration(bounds).run(onDepth)
}

class Exploration {
  readonly #bounds: Bounds
  readonly #kinds: Kind[] = []
  readonly #kindIds = new Map<string, number>()
  readonly #renamedKinds: (number | undefined)[][] = []
  readonly #words: string[] = []
  readonly #wordIds = new Map<string, number>()
  readonly #renamedWords: (number | undefined)[][] = []
  /** Of each state, by its key: its number. The keys are kept in the order of the numbers by Map itself. */
  readonly #seen = new Map<string, number>()
  readonly #parents: number[] = []
  readonly #labels: string[] = []
  readonly #turns: number[] = []
  readonly #judged = new Map<string, string | undefined>()
  #steps = 0
  #decidedMax = 0

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  async run(onDepth?: (progress: Progress) => void): Promise<Explored> {
    const { statesMax = Number.POSITIVE_INFINITY } = this.#bounds
    const first = await Promise.all(HONEST.map((id) => this.#kindOf([], id)))
    let frontier = [this.#note(first, [], -1, '')!]
    let depth = 0
    while (frontier.length > 0) {
      onDepth?.({ depth, states: this.#seen.size, frontier: frontier.length })
      const next: string[] = []
      for (const key of frontier) {
        if (this.#seen.size > statesMax) return this.#result(depth, false)
        const broken = await this.#expand(key, next)
        if (broken !== undefined) return { ...this.#result(depth + 1, false), broken }
      }
      frontier = next
      if (frontier.length > 0) depth++
    }
    return this.#result(depth, true)
  }

  #result(depth: number, completed: boolean): Explored {
    const states = this.#seen.size
    const nodes = this.#kinds.length
    return { states, depth, completed, nodes, steps: this.#steps, decidedMax: this.#decidedMax }
  }

  /** A state is its kinds of nodes, and what was said. */
  #parse(key: string): { kinds: number[]; said: number[] } {
    const numbers = key.split(',').map(Number)
    return { kinds: numbers.slice(0, 3), said: numbers.slice(3) }
  }

  async #expand(key: string, next: string[]): Promise<Explored['broken']> {
    const { kinds, said } = this.#parse(key)
    const parent = this.#seen.get(key)!
    const texts = said.map((word) => this.#words[word]!)
    const heard = this.#hear(kinds, texts)
    for (const [place, number] of kinds.entries()) {
      for (const input of this.#inputs(this.#kinds[number]!, heard)) {
        this.#steps++
        const step = await this.#step(number, input)
        const label = `${HONEST[place]}: ${input}`
        if (step.broken !== undefined) {
          return { promise: step.broken, trace: [...this.#traceTo(parent), label] }
        }
        const fresh = step.said.filter((word) => !said.includes(word))
        if (step.kind === number && fresh.length === 0) continue
        const after = kinds.with(place, step.kind)
        const all = [...said, ...fresh]
        const added = this.#note(after, all, parent, label)
        if (added === undefined) continue
        next.push(added)
        const now = this.#parse(added)
        const promise = this.#judge(now.kinds, now.said)
        if (promise !== undefined) return { promise, trace: this.#traceTo(this.#seen.size - 1) }
      }
    }
    return undefined
  }

  /** The steps to a state, by the names that the first state has. */
  #traceTo(state: number): string[] {
    const path: number[] = []
    for (let at = state; at > 0; at = this.#parents[at]!) path.unshift(at)
    const lines: string[] = []
    let names = 'ABC'
    for (const at of path) {
      lines.push(rename(this.#labels[at]!, names))
      const undone = inverse(PERMUTATIONS[this.#turns[at]!]!)
      names = [...undone].map((name) => names['ABC'.indexOf(name)]).join('')
    }
    return lines
  }

  /** The key of the state if it is new: of all namings of the honest nodes the one with the lowest numbers. */
  #note(
    kinds: readonly number[],
    said: readonly number[],
    parent: number,
    label: string,
  ): string | undefined {
    let best: string | undefined
    let turn = 0
    let bestKinds: number[] | undefined
    for (const [index, permutation] of PERMUTATIONS.entries()) {
      const renamed = [0, 0, 0]
      for (const [place, kind] of kinds.entries()) {
        renamed['ABC'.indexOf(permutation[place]!)] = this.#renamedKind(kind, index)
      }
      const order = bestKinds === undefined ? -1 : compare(renamed, bestKinds)
      if (order > 0) continue
      const words = said.map((word) => this.#renamedWord(word, index)).sort((a, b) => a - b)
      const key = [...renamed, ...words].join(',')
      if (order === 0 && key >= best!) continue
      best = key
      bestKinds = renamed
      turn = index
    }
    if (this.#seen.has(best!)) return undefined
    this.#seen.set(best!, this.#seen.size)
    this.#parents.push(parent)
    this.#labels.push(label)
    this.#turns.push(turn)
    return best!
  }

  #word(text: string): number {
    let found = this.#wordIds.get(text)
    if (found === undefined) {
      found = this.#words.push(text) - 1
      this.#wordIds.set(text, found)
      this.#renamedWords.push([])
    }
    return found
  }

  #renamedWord(word: number, turn: number): number {
    const cached = this.#renamedWords[word]!
    cached[turn] ??= this.#word(rename(this.#words[word]!, PERMUTATIONS[turn]!))
    return cached[turn]
  }

  #intern(lines: readonly string[], history: readonly string[]): number {
    const sorted = [...lines].sort()
    const key = sorted.join('\n')
    const found = this.#kindIds.get(key)
    if (found !== undefined) return found
    const value = (name: string) =>
      sorted
        .find((line) => line.startsWith(`${name} `))!
        .slice(name.length + 1)
        .split(' ')
    const [candidate, base] = value('ballot')
    const [leader, leaderBase] = value('lead')
    const kind: Kind = {
      history,
      self: value('self')[0]!,
      term: Number(value('term')[0]),
      role: value('role')[0]!,
      candidate: candidate!,
      base: base ?? '',
      leader: leader!,
      leaderBase: leaderBase ?? '',
      tip: value('tip')[0]!,
      commit: value('commit')[0]!,
      lock: value('lock')[0]!,
      unsynced: sorted.includes('ready true'),
      lines: sorted,
      next: new Map(),
    }
    this.#kinds.push(kind)
    this.#kindIds.set(key, this.#kinds.length - 1)
    this.#renamedKinds.push([])
    return this.#kinds.length - 1
  }

  #renamedKind(kind: number, turn: number): number {
    const cached = this.#renamedKinds[kind]!
    if (cached[turn] === undefined) {
      const { lines, history } = this.#kinds[kind]!
      const renamed = (text: string) => rename(text, PERMUTATIONS[turn]!)
      cached[turn] = this.#intern(lines.map(renamed), history.map(renamed))
    }
    return cached[turn]
  }

  async #kindOf(history: readonly string[], id: string): Promise<number> {
    const node = await this.#rebuild(history, id)
    return this.#intern(node.state(), history)
  }

  async #rebuild(history: readonly string[], id: string): Promise<ExploredNode> {
    const node = new ExploredNode(id, this.#bounds.split !== true)
    for (const input of history) await node.take(input)
    return node
  }

  async #step(number: number, input: string): Promise<Step> {
    const kind = this.#kinds[number]!
    const known = kind.next.get(input)
    if (known !== undefined) return known
    const node = await this.#rebuild(kind.history, kind.self)
    let step: Step
    try {
      const said = (await node.take(input)).map((text) => this.#word(text))
      const after = this.#intern(node.state(), [...kind.history, input])
      const idle = isShort(input, kind, this.#kinds[after]!)
      step = idle ? { kind: number, said: [] } : { kind: after, said: [...new Set(said)] }
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      step = { kind: number, said: [], broken: error.message }
    }
    kind.next.set(input, step)
    return step
  }

  // ---- what was said, and what follows -----------------------------------------------------------------------------

  #hear(kinds: readonly number[], texts: readonly string[]): Heard {
    const acknowledged = new Map<string, Set<string>>()
    const locked: { from: string; hash: string }[] = []
    const stands: { candidate: string; term: number; base: string }[] = []
    const votes = new Map<string, Set<string>>()
    const leads: { leader: string; term: number; base: string }[] = []
    const blocks = new Set<string>([GENESIS])
    for (const text of texts) {
      const [what, a, b, c, d] = text.split(' ') as [string, string, string, string, string]
      if (what === 'ack') add(acknowledged, b, a)
      else if (what === 'locked') locked.push({ from: a, hash: b })
      else if (what === 'stand') {
        stands.push({ candidate: a, term: Number(b), base: c })
        add(votes, `${a} ${b} ${c}`, a)
      } else if (what === 'vote') add(votes, `${b} ${c} ${d}`, a)
      else if (what === 'lead') leads.push({ leader: a, term: Number(b), base: c })
      else if (what === 'block') blocks.add(a)
    }
    const commits = kinds.map((kind) => this.#kinds[kind]!.commit)
    for (const kind of kinds) for (const hash of chainOf(this.#kinds[kind]!.tip)) blocks.add(hash)
    for (const hash of acknowledged.keys()) for (const each of chainOf(hash)) blocks.add(each)
    const lies = this.#bounds.liar !== false
    const final = new Set<string>()
    for (const hash of blocks) {
      const cosigned = commits.filter((commit) => holds(commit, hash)).length + (lies ? 1 : 0)
      if (cosigned >= K && hash !== GENESIS) final.add(hash)
    }
    const proof = (hash: string): string => {
      if (hash === GENESIS) return '-'
      if (final.has(hash)) return 'ledger'
      const names = new Set([...(acknowledged.get(hash) ?? []), ...(lies ? [LIAR] : [])])
      names.delete(proposerOf(hash))
      return [...names].sort().join('') || '-'
    }
    return { acknowledged, locked, stands, votes, leads, blocks, final, proof, lies }
  }

  /** What may happen to the node now. */
  #inputs(node: Kind, heard: Heard): string[] {
    const { terms, heights, restarts = true, split = false } = this.#bounds
    const { acknowledged, locked, stands, votes, leads, blocks, final, proof, lies } = heard
    const { self, term } = node
    const inputs: string[] = []
    if (split && node.unsynced) inputs.push('sync')
    if (term < terms) inputs.push('stand')
    if (restarts) inputs.push('restart')
    for (const { candidate, term: of, base } of stands) {
      if (candidate !== self && of >= term) inputs.push(`vote ${candidate} ${of} ${base} ${proof(base)}`)
    }
    const all = [...blocks]
    if (lies) {
      for (let of = Math.max(term, 1); of <= terms; of++) {
        for (const base of all) inputs.push(`vote ${LIAR} ${of} ${base} ${proof(base)}`)
      }
    }
    const voters = (candidate: string, of: number, base: string): string[] => {
      const names = new Set([...(votes.get(`${candidate} ${of} ${base}`) ?? []), ...(lies ? [LIAR] : [])])
      return [...names].sort()
    }
    if (node.role === 'candidate') {
      const others = voters(self, term, node.base).filter((name) => name !== self)
      if (others.length >= 1) inputs.push(`elect ${others.join('')}`)
    }
    const show = (leader: string, of: number, base: string) => {
      inputs.push(`lead ${leader} ${of} ${base} ${proof(base)} ${voters(leader, of, base).join('')}`)
    }
    for (const { leader, term: of, base } of leads) if (of >= term) show(leader, of, base)
    if (lies) {
      for (const key of votes.keys()) {
        const [candidate, of, base] = key.split(' ') as [string, string, string]
        if (candidate === LIAR && Number(of) >= term) show(LIAR, Number(of), base)
      }
    }
    if (node.role === 'leader' && height(node.tip) < heights) inputs.push('propose')
    if (node.leader === LIAR) {
      // Any block there is, and new ones on any; the second of two only where the first is known.
      const made = all.flatMap((parent) => {
        if (height(parent) >= heights) return []
        const block = `${parent}/${term}${LIAR}`
        return blocks.has(`${block}1`) ? [`${block}1`, `${block}2`] : [`${block}1`]
      })
      for (const hash of new Set([...all, ...made])) {
        if (hash !== GENESIS && blockOf(hash).term <= term) inputs.push(`append ${LIAR} ${hash}`)
      }
    } else if (node.leader !== '-' && node.leader !== self) {
      for (const hash of all) {
        const own = proposerOf(hash) === node.leader && blockOf(hash).term === term
        const base = hash === node.leaderBase && hash !== GENESIS
        if (own || base) inputs.push(`append ${node.leader} ${hash}`)
      }
    }
    for (const hash of chainOf(node.tip)) {
      if (blockOf(hash).term !== term) continue
      const names = [...(acknowledged.get(hash) ?? []), ...(lies ? [LIAR] : [])]
      const given = names.filter((name) => name !== self).sort()
      if (!holds(node.lock, hash) && given.length > 0) inputs.push(`acks ${hash} ${given.join('')}`)
      if (holds(node.commit, hash)) continue
      const said = HONEST.filter((name) => name !== self).flatMap((name) => {
        const highest = locked
          .filter((each) => each.from === name && holds(each.hash, hash) && holds(node.tip, each.hash))
          .sort((a, b) => b.hash.length - a.hash.length)[0]
        return highest === undefined ? [] : [`${name}=${highest.hash}`]
      })
      if (lies) said.push(`${LIAR}=${hash}`)
      if (said.length > 0) inputs.push(`locks ${said.join(' ')}`)
    }
    for (const hash of final) if (!holds(node.commit, hash)) inputs.push(`install ${hash}`)
    return inputs
  }

  // ---- what must always hold ---------------------------------------------------------------------------------------

  #judge(kinds: readonly number[], said: readonly number[]): string | undefined {
    const commits = kinds.map((kind) => this.#kinds[kind]!.commit)
    for (const commit of commits) this.#decidedMax = Math.max(this.#decidedMax, height(commit))
    const key = `${commits.join(' ')} ${said.join(',')}`
    if (!this.#judged.has(key)) {
      if (this.#judged.size > 500_000) this.#judged.clear()
      this.#judged.set(key, this.#broken(commits, said))
    }
    return this.#judged.get(key)
  }

  #broken(commits: readonly string[], said: readonly number[]): string | undefined {
    const texts = said.map((word) => this.#words[word]!)
    const lies = this.#bounds.liar !== false
    const enough = (names: ReadonlySet<string>) => new Set([...names, ...(lies ? [LIAR] : [])]).size >= K
    const ballots = new Map<string, string>()
    const signed = new Map<string, string>()
    const votes = new Map<string, Set<string>>()
    const acknowledged = new Map<string, Set<string>>()
    const locks = new Map<string, Set<string>>()
    const signs = (name: string, hash: string): boolean => {
      const place = `${name} ${blockOf(hash).term} ${height(hash)}`
      if ((signed.get(place) ?? hash) !== hash) return false
      signed.set(place, hash)
      return true
    }
    for (const text of texts) {
      const [what, a, b, c, d] = text.split(' ') as [string, string, string, string, string]
      if (what === 'stand' || what === 'vote') {
        const [candidate, term, base] = what === 'stand' ? [a, b, c] : [b, c, d]
        const ballot = `${candidate} ${term} ${base}`
        if ((ballots.get(`${a} ${term}`) ?? ballot) !== ballot) return `${a} votes twice in term ${term}`
        ballots.set(`${a} ${term}`, ballot)
        add(votes, ballot, a)
      } else if (what === 'block' || what === 'ack') {
        const [name, hash] = what === 'block' ? [proposerOf(a), a] : [a, b]
        if (!signs(name, hash)) return `${name} signs two blocks at ${hash}`
        if (what === 'ack') add(acknowledged, b, a)
        else if (!acknowledged.has(a)) acknowledged.set(a, new Set())
      } else if (what === 'locked') {
        for (const hash of chainOf(b)) if (blockOf(hash).term === blockOf(b).term) add(locks, hash, a)
      }
    }
    const certified = [...acknowledged.keys()].filter((hash) => {
      return enough(new Set([...acknowledged.get(hash)!, proposerOf(hash)]))
    })
    const fork = forkIn(certified.map((hash) => ({ hash, of: blockOf(hash).term })))
    if (fork !== undefined) return `two certified blocks of a term: ${fork}`
    const decided = [...locks].filter(([, names]) => enough(names)).map(([hash]) => hash)
    const final = [...decided, ...commits].map((hash) => ({ hash, of: 0 }))
    const disagreement = forkIn(final)
    if (disagreement !== undefined) return `two decided blocks: ${disagreement}`
    const elected = new Map<string, string>()
    for (const [ballot, names] of votes) {
      if (!enough(names)) continue
      const [, term, base] = ballot.split(' ') as [string, string, string]
      if (elected.has(term)) return `two leaders of term ${term}: ${elected.get(term)} and ${ballot}`
      elected.set(term, ballot)
      const missing = decided.find((hash) => blockOf(hash).term < Number(term) && !holds(base, hash))
      if (missing !== undefined) return `the base of ${ballot} lacks the decided ${missing}`
    }
    return undefined
  }
}

function add(map: Map<string, Set<string>>, key: string, name: string): void {
  const found = map.get(key)
  if (found === undefined) map.set(key, new Set([name]))
  else found.add(name)
}

function height(hash: string): number {
  return hash.split('/').length - 1
}

/** Two blocks `of` the same that are not on one chain. */
function forkIn(blocks: readonly { readonly hash: string; readonly of: number }[]): string | undefined {
  for (const [index, a] of blocks.entries()) {
    for (const b of blocks.slice(index + 1)) {
      if (a.of === b.of && !holds(a.hash, b.hash) && !holds(b.hash, a.hash)) return `${a.hash} and ${b.hash}`
    }
  }
  return undefined
}

/** Votes, acknowledgements or locks that were too few: the node is as it was, but for those it has counted. */
function isShort(input: string, before: Kind, after: Kind): boolean {
  if (input.startsWith('acks ')) return before.lock === after.lock && before.commit === after.commit
  if (input.startsWith('locks ')) return before.commit === after.commit
  return input.startsWith('elect ') && before.role === after.role
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return 0
}
