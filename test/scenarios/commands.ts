/**
 * The commands of a scenario file, one a line. What a command does is written below it, each line behind
 * `  | `; `REWRITE=1 npm test` writes it anew, for a person to judge. Lines that begin with `#` explain.
 */
import type { Configuration, RaftLimits } from '../../consensus/types.ts'
import { Cluster } from './cluster.ts'
import { members, show } from './print.ts'

export interface Played {
  /** The file as it should read. */
  readonly text: string
  readonly transcript: readonly string[]
  readonly nodes: readonly string[]
}

type Command = (cluster: Cluster, args: readonly string[]) => void

const COMMANDS: Readonly<Record<string, Command>> = {
  /** break N M: N finds that its link to M broke. */
  break: (cluster, [id, other]) => cluster.raft(id!).lostLink(other!),
  /** campaign N: stand for election now. */
  campaign: (cluster, [id]) => cluster.raft(id!).campaign(),
  /** tick N [count]: time passes for one node. */
  tick: (cluster, [id, count = '1']) => {
    for (let i = 0; i < Number(count); i++) cluster.raft(id!).tick()
  },
  /** wait TICKS: time passes for all, and everything happens that can. */
  wait: (cluster, [ticks]) => {
    for (let i = 0; i < Number(ticks); i++) {
      for (const { raft } of cluster.nodes.values()) raft?.tick()
      cluster.run()
    }
  },
  /** propose N [name]: without a name it is an empty block, as opens a term. */
  propose: (cluster, [id, name = '']) => cluster.propose(id!, name),
  /** change N VOTERS[+LEARNERS]: proposes a block that makes these the cluster. */
  change: (cluster, [id, to]) => cluster.change(id!, parseMembers(to!, cluster.quorumOf)),
  /** read N: asks for a linearizable read. */
  read: (cluster, [id]) => cluster.read(id!),
  /** ready N: take a Ready; a leader's messages leave. */
  ready: (cluster, [id]) => cluster.take(id!),
  /** sync N: the Ready taken becomes durable; the rest leaves. */
  sync: (cluster, [id]) => cluster.sync(id!),
  /** run: until all is quiet. */
  run: (cluster) => cluster.run(),
  /** deliver A B [count]: the oldest messages of a link arrive. */
  deliver: (cluster, [from, to, count = '1']) => repeat(count, () => cluster.deliver(from!, to!)),
  /** drop A B [count]: the oldest messages of a link are lost. */
  drop: (cluster, [from, to, count = '1']) => repeat(count, () => cluster.drop(from!, to!)),
  /** reverse: the messages under way overtake one another. */
  reverse: (cluster) => {
    cluster.flights.reverse()
  },
  /** duplicate: every message under way arrives twice. */
  duplicate: (cluster) => {
    cluster.flights.push(...cluster.flights)
  },
  /** cut A B: nothing sent by A reaches B any more. */
  cut: (cluster, [from, to]) => cluster.cut(from!, to!),
  /** partition AB C: the groups do not hear one another. */
  partition: (cluster, groups) => {
    for (const one of groups) {
      for (const other of groups) {
        if (one !== other) for (const a of one) for (const b of other) cluster.cut(a, b)
      }
    }
  },
  heal: (cluster) => cluster.heal(),
  /** crash N: what was not synced is lost. */
  crash: (cluster, [id]) => cluster.crash(id!),
  restart: (cluster, [id]) => cluster.restart(id!),
  transfer: (cluster, [id, to]) => {
    const result = cluster.raft(id!).transfer(to)
    cluster.say(result.ok ? `${id} hands over to ${result.to}` : `${id} refuses: ${result.reason}`)
  },
  /** complain N: an entry waits too long there. */
  complain: (cluster, [id]) => cluster.raft(id!).complain(),
  /** lie A B complaint|locked|append TERM [PREV BLOCK]: A, a liar, says to B what its Raft would not. */
  lie: (cluster, [from, to, kind, term, prev, name]) => {
    const t = Number(term)
    if (kind === 'complaint') cluster.lie(from!, to!, { kind, term: t })
    else if (kind === 'heartbeat') cluster.lie(from!, to!, { kind, term: t, round: 1 })
    else if (kind === 'locked') cluster.lie(from!, to!, { kind, ...place(prev!), hash: prev! })
    else if (kind === 'append') {
      const block = cluster.forge(from!, prev!, t, name!)
      const parent = { ...place(prev!), hash: prev! }
      cluster.lie(from!, to!, { kind, term: t, prev: parent, blocks: [block] })
    } else throw new Error(`no lie of kind ${kind}`)
  },
  /** pull A B: A installs what B has applied, as if proven by a certificate. */
  pull: (cluster, [id, source]) => cluster.pull(id!, source!),
  /** show [N...]: the state of some or all nodes. */
  show: (cluster, ids) => {
    for (const { id, raft } of cluster.nodes.values()) {
      if (ids.length > 0 && !ids.includes(id)) continue
      cluster.say(raft === undefined ? `${id}: down` : show(raft.status()))
    }
  },
  /** members N...: the configuration that a node uses, voters first. */
  members: (cluster, ids) => {
    for (const id of ids) cluster.say(`${id}: ${members(cluster.raft(id).configuration)}`)
  },
  /** disk N...: the blocks that are durable. */
  disk: (cluster, ids) => {
    for (const id of ids)
      cluster.say(
        `${id}: ${cluster.nodes
          .get(id)!
          .disk.blocks.map((block) => block.hash)
          .join(' ')}`,
      )
  },
  quiet: (cluster) => {
    cluster.quiet = true
  },
  loud: (cluster) => {
    cluster.quiet = false
  },
  /** assert leader|role|term|commit|tail|lock|members N VALUE. */
  assert: (cluster, [what, id, wanted]) => {
    const { role, term, commit, leader, tail, certified, configuration } = cluster.raft(id!)
    const lock = certified.block.hash
    const all = { role, term, commit, leader, lock, tail: tail.hash, members: members(configuration) }
    const actual = all[what as keyof typeof all]
    if (String(actual ?? 'unknown') !== wanted)
      throw new Error(`${what} of ${id} is ${actual}, not ${wanted}`)
  },
  'check-safety': (cluster) => cluster.checkSafety(),
}

function parseMembers(text: string, quorumOf: (voters: number) => number): Configuration {
  const [voters, learners] = text.split('+')
  return { voters: [...voters!], learners: [...(learners ?? '')], quorum: quorumOf(voters!.length) }
}

/** Of a block, by its name: height/term:mark, or genesis. */
function place(name: string): { height: number; term: number } {
  const [height, term] = name === 'genesis' ? ['0', '0'] : name.split(':')[0]!.split('/')
  return { height: Number(height), term: Number(term) }
}

function repeat(count: string, act: () => boolean): void {
  for (let i = 0; i < Number(count); i++) if (!act()) throw new Error('there is no such message under way')
}

/** Plays the commands of `text` and gives the text with what really happened. */
export function play(text: string): Played {
  const out: string[] = []
  const transcript: string[] = []
  let cluster: Cluster | undefined
  for (const line of text.split('\n')) {
    if (line.startsWith('  | ')) continue
    out.push(line)
    if (line.startsWith('#') || line.trim() === '') continue
    const [name, ...args] = line.split(' ')
    if (name === 'nodes') {
      // nodes SIZE [founders=N] [quorum=N] [LIMIT=N...]; without a quorum it is more than half.
      const [size, ...settings] = args
      const entries = settings.map((each) => each.split('=')).map(([key, value]) => [key, Number(value)])
      const { founders, quorum, ...limits } = Object.fromEntries(entries) as Partial<
        RaftLimits & { founders: number; quorum: number }
      >
      cluster = new Cluster(Number(size), founders ?? Number(size), quorum, limits)
      continue
    }
    const command = COMMANDS[name!]
    if (cluster === undefined || command === undefined) throw new Error(`cannot play: ${line}`)
    try {
      command(cluster, args)
    } catch (error) {
      cluster.quiet = false
      cluster.say(`failed: ${error instanceof Error ? error.message : error}`)
    }
    const said = cluster.lines.splice(0)
    transcript.push(...said)
    out.push(...said.map((each) => `  | ${each}`))
  }
  cluster?.checkSafety()
  return { text: out.join('\n'), transcript, nodes: [...(cluster?.nodes.keys() ?? [])] }
}
