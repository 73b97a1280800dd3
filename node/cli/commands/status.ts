/** `qat status`: the cluster as one node sees it. */
import type { Command } from 'commander'
import { array, count, type Json, object, text } from '../../../src/json.ts'
import { INDEX_MAX, VALIDATORS_MAX } from '../../../src/limits.ts'
import { obstacles, type SeenNode } from '../cluster-text.ts'
import { EXIT } from '../exit.ts'
import { type RpcOptions, rpcOption } from '../options.ts'
import { counted, factSheet, printJson, printText, table } from '../output.ts'
import { readReply, shortText } from '../replies.ts'
import { ask } from '../rpc.ts'

const EXAMPLES = `
Examples:
  qat status
  qat status --rpc http://10.0.0.7:8480 --json

A learner follows and does not count yet. SIZE counts the leaves that a node has applied; FINAL those that a
certificate covers. What the others do is what they last announced; one that is connected and announces nothing is
silent: ask that one. If nothing can be ordered or become final, or the asked node does not take part, a note says why.
Serves says what the asked node can be asked for: reads, entries, and that these become final. Where they do not, the
exit code is 7. Evidence is that of the asked node: "qat evidence list".
`

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('show the nodes of the cluster')
    .addOption(rpcOption())
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => status(command.optsWithGlobals<RpcOptions>()))
}

async function status(options: RpcOptions): Promise<void> {
  const reply = await ask(options, 'cluster.status')
  const text = readReply(reply, clusterText)
  if (options.json) printJson(reply)
  else printText(text)
  if (servesOf(reply)?.includes(FINAL) === false) process.exitCode = EXIT.notFinal
}

const FINAL = 'entries that become final'
const SERVES = { reads: 'reads', entries: 'entries', final: FINAL } as const

/** What the asked node can be asked for now; one of an earlier version does not say. Throws FormatError. */
function servesOf(reply: Json): string[] | undefined {
  const { ready: said } = object(reply, 'The cluster')
  if (said === undefined) return undefined
  const ready = object(said, '"ready"')
  const names = Object.keys(SERVES) as (keyof typeof SERVES)[]
  const served = names.filter((name) => ready[name] === true)
  // Those that become final are entries, too.
  return served.filter((name) => name !== 'entries' || ready.final !== true).map((name) => SERVES[name])
}

const NOTE_BYTES_MAX = 4_096
const COLUMNS = ['NODE', 'KIND', 'ROLE', 'ONLINE', 'HEIGHT', 'SIZE', 'FINAL', 'PENDING', 'SEEN'] as const

function clusterText(reply: Json): string {
  const cluster = object(reply, 'The cluster')
  const nodes = array(cluster.nodes, '"nodes"', 1, VALIDATORS_MAX).map(readNode)
  const leader = cluster.leader === undefined ? undefined : shortText(cluster.leader, '"leader"')
  const cosigners = count(cluster.cosigners, '"cosigners"')
  const validators = nodes.filter(({ kind }) => kind === 'validator').length
  // A node that stands apart does not hear all that the others say: its view is no reason to alarm anyone.
  const notes =
    cluster.note === undefined
      ? obstacles(nodes, leader, cosigners)
      : [text(cluster.note, '"note"', NOTE_BYTES_MAX), 'Of the others it may know little: ask another node.']
  const facts = factSheet([
    ['Ledger', shortText(cluster.ledger, '"ledger"')],
    ['Leader', leader ?? 'none'],
    ['Term', count(cluster.term, '"term"')],
    ['Cosigners', `${cosigners} of ${counted(validators, 'validator')}`],
    ['Serves', servesOf(reply)?.join(', ')],
    ['Changes', count(cluster.sequence, '"sequence"')],
    ['Evidence', evidenceText(cluster.evidence)],
    ...notes.map((note) => ['Note', note] as const),
  ])
  const rows = nodes.map(({ name, kind, role, online, rest }) => [
    name,
    kind,
    role,
    online ? 'yes' : 'no',
    ...rest,
  ])
  return `${facts}\n\n${table(COLUMNS, rows)}`
}

/** Nodes of earlier versions say nothing of evidence. */
function evidenceText(value: Json | undefined): string | undefined {
  if (value === undefined) return undefined
  const pieces = array(value, '"evidence"', 0, INDEX_MAX).map((item) => object(item, 'A piece of evidence'))
  if (pieces.length === 0) return 'none'
  const accused = new Set(pieces.map((piece) => shortText(piece.accused, '"accused"')))
  return `${counted(pieces.length, 'piece')} against ${[...accused].join(', ')}`
}

/** `rest` are the cells that nothing here judges by. */
function readNode(value: Json): SeenNode & { readonly rest: readonly string[] } {
  const node = object(value, 'A node')
  const word = (name: string) => shortText(node[name], `"${name}"`)
  const numbers = ['height', 'size', 'finalSize', 'pending'].map((name) =>
    String(count(node[name], `"${name}"`)),
  )
  const seen = typeof node.seenMs === 'number' ? `${(node.seenMs / 1_000).toFixed(1)} s ago` : '-'
  return {
    name: word('name'),
    kind: word('kind'),
    role: word('role'),
    online: node.online === true,
    rest: [...numbers, seen],
  }
}
