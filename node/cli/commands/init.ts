/** `qat init`: the founding of a ledger. */
import { type Command, InvalidArgumentError } from 'commander'
import { array, object } from '../../../src/json.ts'
import { memberFromJson, type Submitter } from '../../../src/ledger/member.ts'
import { defaultCosigners } from '../../../src/ledger/membership.ts'
import { VALIDATORS_MAX } from '../../../src/limits.ts'
import { DEVNET_PORT, kmePorts, localNodes, PEER_PORT_OFFSET } from '../../devnet/names.ts'
import type { ClusterNode } from '../../init.ts'
import { CliError } from '../exit.ts'
import { inFile, readJsonInput } from '../files.ts'
import { tell } from '../member/carry-out.ts'
import { quorumWarnings } from '../member/plan.ts'
import {
  type GlobalOptions,
  hostName,
  ledgerOrigin,
  memberName,
  type QkdMode,
  qkdOption,
  rpcHostOption,
  rpcHostWarning,
  wholeNumber,
} from '../options.ts'
import { counted, factSheet, printJson, printText, printWarning, table } from '../output.ts'
import { encryptOption, newPassphrase } from '../passphrase.ts'

interface Options extends GlobalOptions {
  readonly dir: string
  readonly ledger: string
  readonly nodes?: number
  readonly node?: readonly NamedNode[]
  readonly port: number
  readonly bind: string
  readonly rpcHost: string
  readonly cosigners?: number
  readonly token?: string
  readonly submitters?: string
  readonly qkd: QkdMode
  readonly encrypt?: true
}

type NamedNode = Pick<ClusterNode, 'name' | 'team' | 'host'> &
  Partial<Pick<ClusterNode, 'rpcPort' | 'peerPort'>>

const SUBMITTERS_MAX = 1_000
const SUBMITTERS_BYTES_MAX = 4_194_304

const EXAMPLES = `
Examples:
  qat init --dir ledger --ledger audit.example/payments --nodes 4
  qat init --dir ledger --ledger audit.example/payments \\
    --node risk/alpha=ledger.risk.example --node ops/bravo=10.0.0.7:8490:9999 --token ci

A submitter's record: {"name": "ci", "team": "web", "key": {the public JWK that "qat keygen" prints},
"sources": ["https://ci.example/*"], "types": ["*"]}. Later ones are admitted by "qat member add".

Then give each team its node's folder (DIR/<name>), run "qat start --dir <folder>" there, and give everybody
the file DIR/policy: it is all that is needed to verify proofs. Keep DIR/admin.key offline.
JSON-RPC is served on loopback alone, where a proxy with TLS can reach it, unless --rpc-host says otherwise.
Private keys are encrypted if QAT_PASSPHRASE or QAT_PASSPHRASE_FILE is set, or with --encrypt; the nodes then need
the passphrase, too.
`

export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description('found a new ledger: keys, genesis block, policy, one folder for each node')
    .requiredOption('--dir <dir>', 'a new or empty folder')
    .requiredOption(
      '--ledger <origin>',
      'name of the ledger, a URL without scheme: audit.example/payments',
      ledgerOrigin,
    )
    .option('--nodes <count>', 'that many nodes on this machine', wholeNumber(1, VALIDATORS_MAX))
    .option(
      '--node <node>',
      '[team/]name=host[:port[:peer-port]], where others reach it; repeat for each',
      addNode,
    )
    .option(
      '--port <port>',
      `JSON-RPC port; peers use it + ${PEER_PORT_OFFSET}`,
      wholeNumber(1, 64_535),
      DEVNET_PORT,
    )
    .option('--bind <address>', 'address that the nodes given by --node listen on for peers', '0.0.0.0')
    .addOption(rpcHostOption())
    .option('--cosigners <count>', 'cosignatures that make an entry final', wholeNumber(1, VALIDATORS_MAX))
    .addOption(qkdOption('off'))
    .option('--token <name>', 'make a bearer token for senders that cannot sign, in DIR/token')
    .option('--submitters <file>', 'who may sign entries: a JSON list of {name, team, key, sources, types}')
    .addOption(encryptOption())
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => init(command.optsWithGlobals<Options>()))
}

async function init(options: Options): Promise<void> {
  const { initCluster, portClash } = await import('../../init.ts') // large, and of no use to the other commands
  const { dir, ledger, cosigners, token, json } = options
  const nodes = chosenNodes(options)
  const plan = options.qkd === 'off' ? undefined : { mode: options.qkd, ports: kmePorts }
  const clash = portClash(nodes, plan)
  if (clash !== undefined)
    throw new CliError('usage', `${clash} Give other ports: --node name=host:port:peer-port.`)
  if (cosigners !== undefined) checkCosigners(cosigners, nodes.length)
  const warning = rpcHostWarning(options.rpcHost)
  if (warning !== undefined) printWarning(warning)
  const passphrase = await newPassphrase(options.encrypt)
  const made = await initCluster({
    dir,
    ledger,
    nodes,
    ...(cosigners !== undefined && { cosigners }),
    ...(plan && { qkd: plan }),
    ...(passphrase !== undefined && { passphrase }),
    ...(options.submitters !== undefined && { submitters: await readSubmitters(options.submitters) }),
    ...(token !== undefined && { token: { name: token, sources: ['*'], types: ['*'] } }),
  })
  if (json) {
    printJson({ dir, ledger, genesis: made.genesisId, policy: `${dir}/policy`, nodes: made.nodes })
    return
  }
  const facts = factSheet([
    ['Ledger', ledger],
    ['Genesis', made.genesisId],
    ['Policy', `${dir}/policy`],
    ['Admin key', `${dir}/admin.key`],
    ['Token', token === undefined ? undefined : `${dir}/token`],
  ])
  const rows = made.nodes.map(({ name, rpcUrl, dir: folder }) => [name, rpcUrl, folder])
  printText(`${facts}\n\n${table(['NODE', 'JSON-RPC', 'FOLDER'], rows)}`)
}

/** `key` is the public JWK that `qat keygen` prints; `sources` and `types` are patterns, `*` for any run of characters. */
async function readSubmitters(path: string): Promise<Submitter[]> {
  const list = await readJsonInput(path, SUBMITTERS_BYTES_MAX)
  return inFile(path, () =>
    array(list, 'The list of submitters', 1, SUBMITTERS_MAX).map((item) => {
      const member = memberFromJson({ ...object(item, 'A submitter'), kind: 'submitter' })
      return member as Submitter
    }),
  )
}

/** With half of the nodes or fewer, two parts of the ledger could go different ways without a single liar. */
function checkCosigners(cosigners: number, nodes: number): void {
  const least = Math.floor(nodes / 2) + 1
  if (cosigners < least || cosigners > nodes) {
    const message = `${counted(nodes, 'node')} can have ${least} to ${nodes} cosigners, not ${cosigners}.`
    throw new CliError('usage', `${message} Leave --cosigners out for ${defaultCosigners(nodes)}.`)
  }
  for (const warning of quorumWarnings(nodes, cosigners)) tell(`Warning: ${warning}`)
}

function chosenNodes({ nodes, node, port, bind, rpcHost }: Options): ClusterNode[] {
  if ((nodes === undefined) === (node === undefined)) {
    throw new CliError('usage', 'Give either --nodes or one --node for each node.')
  }
  if (nodes !== undefined)
    return localNodes(nodes, port).map((local) => ({ ...local, bind: local.rpcHost, rpcHost }))
  return (node ?? []).map(({ rpcPort = port, peerPort = rpcPort + PEER_PORT_OFFSET, ...named }) => {
    return { ...named, bind, rpcHost, rpcPort, peerPort }
  })
}

const NODE = /^(?:([^/=\s]{1,64})\/)?([^/=\s]+)=(\[[0-9a-fA-F:.]+\]|[^:\s]+)(?::(\d{1,5})(?::(\d{1,5}))?)?$/

function addNode(value: string, earlier: readonly NamedNode[] = []): NamedNode[] {
  const [, team, name, host, port, peers] = NODE.exec(value) ?? []
  if (name === undefined || host === undefined) {
    throw new InvalidArgumentError('Expected [team/]name=host[:port[:peer-port]].')
  }
  memberName(name)
  if (earlier.some((node) => node.name === name)) {
    throw new InvalidArgumentError(`Two nodes are named ${name}.`)
  }
  const rpcPort =
    port === undefined ? {} : { rpcPort: wholeNumber(1, peers === undefined ? 64_535 : 65_535)(port) }
  const peerPort = peers === undefined ? {} : { peerPort: wholeNumber(1, 65_535)(peers) }
  return [...earlier, { name, team: team ?? name, host: hostName(host), ...rpcPort, ...peerPort }]
}
