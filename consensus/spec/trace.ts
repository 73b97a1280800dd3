/**
 * What nodes did, step by step, in the words of ordering.qnt, and the module by which Quint judges it. README.md says
 * when a recorder owes which line.
 */
import { FormatError } from '../../src/errors.ts'

/** `hash` and `parent` are hashes in hex; the genesis block has the hash of the line `begin`. */
export type TraceBlock = {
  readonly hash: string
  readonly parent: string
  readonly term: number
  readonly proposer: string
}

/** One line of JSON each. `base`, `tip`, `lock` and `block` (where it is text) are hashes. */
export type TraceLine =
  /** The first line, and again wherever a trace of another cluster begins, with the same voters, liars and quorum. */
  | {
      readonly do: 'begin'
      readonly voters: readonly string[]
      readonly liars: readonly string[]
      readonly quorum: number
      readonly genesis: string
    }
  | { readonly do: 'stand'; readonly node: string; readonly term: number; readonly base: string }
  | {
      readonly do: 'heed' | 'vote'
      readonly node: string
      readonly term: number
      readonly candidate: string
      readonly base: string
    }
  | {
      readonly do: 'follow'
      readonly node: string
      readonly term: number
      readonly leader: string
      readonly base: string
    }
  | { readonly do: 'elect' | 'write'; readonly node: string }
  | { readonly do: 'propose'; readonly node: string; readonly block: TraceBlock }
  | { readonly do: 'accept' | 'install'; readonly node: string; readonly blocks: readonly TraceBlock[] }
  | {
      readonly do: 'acknowledge' | 'lock' | 'say-locked' | 'decide'
      readonly node: string
      readonly block: string
    }
  | {
      readonly do: 'restart'
      readonly node: string
      readonly term: number
      readonly voted: number
      readonly tip: string
      readonly lock: string
    }

/** Place i in the module's TRACE belongs to line `lines[i]` of the trace; both from 0. */
export type Replay = { readonly module: string; readonly lines: readonly number[] }

/**
 * The text of a Quint module `replay` that takes the trace's steps one by one with `first` and `play`, by the rules in
 * the file `source`. A step that they do not permit ends its trace: its place goes to `refused`, and the next trace
 * begins. Blocks of liars, whom nobody records, are made when an honest node first shows them.
 *
 * @throws FormatError if the first line is not `begin`, two have other voters, or one hash stands for two blocks.
 */
export function toQuint(trace: readonly TraceLine[], source: string): Replay {
  const first = trace[0]
  if (first?.do !== 'begin') throw new FormatError('bad-field', 'A trace begins with a line "begin".')
  const ids = new Map<string, number>()
  const known = new Map<string, string>()
  const made = new Set<string>()
  const steps: string[] = []
  const lines: number[] = []

  const id = (hash: string): number => {
    const found = ids.get(hash) ?? ids.size
    ids.set(hash, found)
    return found
  }
  const proposed = (block: TraceBlock): string => {
    made.add(block.hash)
    const { proposer: node, term } = block
    return step('Propose', { node, block: id(block.hash), parent: id(block.parent), term })
  }
  const shown = (blocks: readonly TraceBlock[], line: number): number => {
    const last = blocks.at(-1)
    if (last === undefined)
      throw new FormatError('missing-field', 'An append has one block at least.', { line })
    for (const block of blocks) {
      const text = JSON.stringify([block.parent, block.term, block.proposer])
      if ((known.get(block.hash) ?? text) !== text)
        throw new FormatError('bad-field', 'One hash stands for two blocks.', { line, hash: block.hash })
      known.set(block.hash, text)
      if (made.has(block.hash) || !first.liars.includes(block.proposer)) continue
      steps.push(proposed(block))
      lines.push(line)
    }
    return id(last.hash)
  }
  const stepOf = (line: TraceLine, index: number): string => {
    switch (line.do) {
      case 'begin':
        if (cluster(line) !== cluster(first))
          throw new FormatError('bad-field', 'Traces in one file have the same voters, liars and quorum.')
        for (const seen of [ids, known, made]) seen.clear()
        id(line.genesis)
        return BEGIN
      case 'stand':
        return step('Stand', { node: line.node, term: line.term, base: id(line.base) })
      case 'heed':
      case 'vote': {
        const { node, term, candidate, base } = line
        return step(line.do === 'heed' ? 'Heed' : 'Vote', { node, term, candidate, base: id(base) })
      }
      case 'follow': {
        const { node, term, leader, base } = line
        return step('Follow', { node, term, leader, base: id(base) })
      }
      case 'elect':
        return step('Elect', { node: line.node })
      case 'write':
        return step('Write', { node: line.node })
      case 'propose':
        shown([line.block], index)
        return proposed(line.block)
      case 'accept':
        return step('Accept', { node: line.node, block: shown(line.blocks, index) })
      case 'install':
        return step('Install', { node: line.node, block: shown(line.blocks, index) })
      case 'acknowledge':
        return step('Acknowledge', { node: line.node, block: id(line.block) })
      case 'lock':
        return step('Lock', { node: line.node, block: id(line.block) })
      case 'say-locked':
        return step('SayLocked', { node: line.node, block: id(line.block) })
      case 'decide':
        return step('Decide', { node: line.node, block: id(line.block) })
      case 'restart': {
        const { node, term, voted, tip, lock } = line
        return step('Restart', { node, term, voted, tip: id(tip), lock: id(lock) })
      }
    }
  }
  trace.forEach((line, index) => {
    steps.push(stepOf(line, index))
    lines.push(index)
  })
  const ends = steps.map((text, index) => (text === BEGIN ? index : -1)).filter((index) => index > 0)
  ends.push(steps.length)
  const placed = steps.map((text) => (text === BEGIN ? `Begin(${ends.shift()})` : text))
  return { module: moduleOf(first, placed, source), lines }
}

const BEGIN = 'Begin'

type Begin = Extract<TraceLine, { do: 'begin' }>

function cluster({ voters, liars, quorum }: Begin): string {
  return JSON.stringify([voters, liars, quorum])
}

function step(name: string, fields: Readonly<Record<string, string | number>>): string {
  const text = Object.entries(fields).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return `Do(${name}({ ${text.join(', ')} }))`
}

/** Each line is a definition of its own: Quint takes minutes to find the type of one long list of records. */
function moduleOf({ voters, liars, quorum }: Begin, steps: readonly string[], source: string): string {
  const set = (names: readonly string[]) => `Set(${names.map((name) => JSON.stringify(name)).join(', ')})`
  return `module replay {
  import ordering(VOTERS = ${set(voters)}, LIARS = ${set(liars)}, K = ${quorum}).* from ${JSON.stringify(source)}

  /// A trace begins, and the next one at that place.
  type Line = Begin(int) | Do(Step)
${steps.map((line, index) => `  pure val L${index}: Line = ${line}`).join('\n')}
  pure val TRACE = [${steps.map((_, index) => `L${index}`).join(', ')}]

  /// The place in TRACE, the place where the next trace begins, and the places of the steps that were refused.
  var at: int
  var end: int
  var refused: List[int]

  action first = all { init, at' = 0, end' = 0, refused' = [] }
  action play = all {
    at < TRACE.length(),
    match TRACE[at] {
      | Begin(stop) => all { init, at' = at + 1, end' = stop, refused' = refused }
      | Do(x) =>
        if (permitted(state, x)) all { state' = after(state, x), at' = at + 1, end' = end, refused' = refused }
        else all { state' = state, at' = end, end' = end, refused' = refused.append(at) }
    }
  }
  val safe = locks and (at == end implies and {
    agreement, oneCertificate, oneLeader, bases, oneVote, oneAcknowledgement, candidacies,
  })
}
`
}
