/** `qat status`: the cluster as one node sees it. */
import type { Command } from 'commander'
import { array, count, type Json, object } from '../../../src/json.ts'
import { INDEX_MAX, VALIDATORS_MAX } from '../../../src/limits.ts'
import { type RpcOptions, rpcOption } from '../options.ts'
import { counted, factSheet, printJson, printText, table } from '../output.ts'
import { readReply, shortText } from '../replies.ts'
import { ask } from '../rpc.ts'

const EXAMPLES = `
Examples:
  qat status
  qat status --rpc http://10.0.0.7:8480 --json

A learner follows and does not count yet. SIZE counts the leaves that a node has applied; FINAL those that a
certificate covers.
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
}

const COLUMNS = ['NODE', 'KIND', 'ROLE', 'ONLINE', 'HEIGHT', 'SIZE', 'FINAL', 'PENDING', 'SEEN'] as const

function clusterText(reply: Json): string {
  const cluster = object(reply, 'The cluster')
  const facts = factSheet([
    ['Ledger', shortText(cluster.ledger, '"ledger"')],
    ['Leader', cluster.leader === undefined ? 'none' : shortText(cluster.leader, '"leader"')],
    ['Term', count(cluster.term, '"term"')],
    ['Cosigners', count(cluster.cosigners, '"cosigners"')],
    ['Evidence', evidenceText(cluster.evidence)],
    ['Changes', count(cluster.sequence, '"sequence"')],
  ])
  return `${facts}\n\n${table(COLUMNS, array(cluster.nodes, '"nodes"', 1, VALIDATORS_MAX).map(nodeCells))}`
}

/** Nodes of earlier versions say nothing of evidence. */
function evidenceText(value: Json | undefined): string | undefined {
  if (value === undefined) return undefined
  const pieces = array(value, '"evidence"', 0, INDEX_MAX).map((item) => object(item, 'A piece of evidence'))
  if (pieces.length === 0) return 'none'
  const accused = new Set(pieces.map((piece) => shortText(piece.accused, '"accused"')))
  return `${counted(pieces.length, 'piece')} against ${[...accused].join(', ')}`
}

function nodeCells(value: Json): string[] {
  const node = object(value, 'A node')
  const numbers = ['height', 'size', 'finalSize', 'pending'].map((name) =>
    String(count(node[name], `"${name}"`)),
  )
  const seen = typeof node.seenMs === 'number' ? `${(node.seenMs / 1_000).toFixed(1)} s ago` : '-'
  const [name, kind, role] = ['name', 'kind', 'role'].map((field) => shortText(node[field], `"${field}"`))
  return [name!, kind!, role!, node.online === true ? 'yes' : 'no', ...numbers, seen]
}
