/** `qat join`: a folder for a node that joins a ledger, and the record by which an admin admits it. */
import type { Command } from 'commander'
import { fromBase64 } from '../../../src/bytes.ts'
import { keyId } from '../../../src/crypto/keys.ts'
import { type Json, object } from '../../../src/json.ts'
import { BLOCK_BYTES_MAX } from '../../../src/limits.ts'
import { isLoopback } from '../../rpc/host.ts'
import { CliError } from '../exit.ts'
import { presentMembers } from '../member/present.ts'
import {
  hostName,
  memberName,
  type RpcOptions,
  rpcHostOption,
  rpcHostWarning,
  rpcOption,
  timeoutOption,
  wholeNumber,
} from '../options.ts'
import { factSheet, printJson, printText, printWarning } from '../output.ts'
import { encryptOption, newPassphrase } from '../passphrase.ts'
import { isEntryId, readReply, shortText } from '../replies.ts'
import { askUntil } from '../rpc.ts'

interface Options extends RpcOptions {
  readonly genesisId?: string
  readonly dir: string
  readonly name: string
  readonly team: string
  readonly host: string
  readonly peerPort: number
  readonly rpcPort: number
  readonly bind?: string
  readonly rpcHost: string
  readonly encrypt?: true
  readonly timeout: number
}

const EXAMPLES = `
Examples:
  qat join --rpc http://n1.example:8480 --genesis-id 3f0c... --dir n5 --name n5 --team ops \\
    --host n5.example --peer-port 9480 --rpc-port 8480

Whoever knows the ledger's genesis id ("qat init" and "qat start" print it) knows which ledger it is: get it from
an admin, not from the node that you ask. Then:
  an admin:   qat member add n5/member.json --admin-key admin.key
  you:        qat start --dir n5
Private keys are made here and stay here; they are encrypted if QAT_PASSPHRASE or QAT_PASSPHRASE_FILE is set, or
with --encrypt.
`

export function addJoinCommand(program: Command): void {
  program
    .command('join')
    .description('make the folder of a node that joins a ledger')
    .addOption(rpcOption())
    .option('--genesis-id <hash>', 'hash of block 0 of the ledger that is meant')
    .requiredOption('--dir <dir>', 'a new or empty folder')
    .requiredOption('--name <name>', 'name of the new node', memberName)
    .requiredOption('--team <team>', 'whose node it is')
    .requiredOption('--host <host>', 'where others reach it', hostName)
    .requiredOption('--peer-port <port>', 'its port for peers', wholeNumber(1, 65_535))
    .requiredOption('--rpc-port <port>', 'its port for JSON-RPC', wholeNumber(1, 65_535))
    .option('--bind <address>', 'address to listen on for peers (default: 0.0.0.0; a loopback --host itself)')
    .addOption(rpcHostOption())
    .addOption(timeoutOption(30))
    .addOption(encryptOption())
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => join(command.optsWithGlobals<Options>()))
}

async function join(options: Options): Promise<void> {
  const { dir, name, team, host, peerPort, rpcPort, json } = options
  const endMs = performance.now() + 1_000 * options.timeout
  const block = await askUntil(options, 'genesis.get', () => ({}), endMs - performance.now())
  const given = readReply(block, genesisReply)
  const genesisId = confirmed(options, given.id)
  const { membership } = await presentMembers(options, endMs - performance.now())
  const passphrase = await newPassphrase(options.encrypt)
  const { joinLedger } = await import('../../join.ts') // large, and of no use to the other commands
  const bind = options.bind ?? (isLoopback(host) ? host : '0.0.0.0')
  const { rpcHost } = options
  const warning = rpcHostWarning(rpcHost)
  if (warning !== undefined) printWarning(warning)
  const joined = await joinLedger({
    dir,
    node: { name, team, host, peerPort, bind, rpcHost, rpcPort },
    genesis: given.block,
    genesisId,
    membership,
    ...(passphrase !== undefined && { passphrase }),
  })
  const { ledger, learner, learnerPath, gatewayPath } = joined
  if (json) {
    printJson({ dir, ledger, genesis: genesisId, name, member: learnerPath, gateway: gatewayPath })
    return
  }
  const facts = factSheet([
    ['Ledger', ledger],
    ['Genesis', genesisId],
    ['Node key', keyId(learner.nodeKey)],
    ['Record', learnerPath],
    ['Gateway', gatewayPath],
  ])
  printText(`${facts}

Next:
  1. Start it:  qat start --dir ${dir}
  2. Give ${learnerPath} to an admin, who compares the node key above and admits it:
     qat member add ${learnerPath} --admin-key KEY --rpc ${options.rpc}
  3. If it is to sign for senders with a token, the same for ${gatewayPath}; tokens go into ${dir}/tokens.json.`)
}

function genesisReply(value: Json): { id: string; block: Uint8Array } {
  const found = object(value, 'The genesis')
  const spelled = typeof found.genesis === 'string' ? found.genesis : shortText(found.genesis, '"genesis"')
  if (spelled.length > 2 * BLOCK_BYTES_MAX) throw new CliError('file', 'The genesis block is too long.')
  return { id: shortText(found.id, '"id"'), block: fromBase64(spelled) }
}

/** What the asked node says of itself is no reason to trust it, so nothing goes on without the id. */
function confirmed({ genesisId, rpc }: Options, offered: string): string {
  if (genesisId === undefined) {
    const message =
      `${rpc} says its genesis is ${offered}. Compare that with what an admin gives you, ` +
      `then join with --genesis-id ${offered}`
    throw new CliError('usage', message, { genesis: offered })
  }
  if (isEntryId(genesisId)) return genesisId
  throw new CliError('usage', '--genesis-id takes 64 lower-case hex digits, as "qat init" prints them.')
}
