/** `qat member record`: the record of a member, to be handed to an admin. */
import { type Command, Option } from 'commander'
import { type Member, memberToJson } from '../../../../src/ledger/member.ts'
import { CliError } from '../../exit.ts'
import { type GlobalOptions, hostName, memberName, wholeNumber } from '../../options.ts'
import { printJson } from '../../output.ts'
import { folderPassphrase } from '../../passphrase.ts'
import { readKeys } from '../../submitter-keys.ts'

interface Options extends GlobalOptions {
  readonly kind: 'submitter' | 'admin' | 'node'
  readonly name?: string
  readonly team?: string
  readonly key?: string
  readonly source?: readonly string[]
  readonly type?: readonly string[]
  readonly dir?: string
  readonly host?: string
  readonly peerPort?: number
  readonly rpcPort?: number
}

const EXAMPLES = `
Examples:
  qat member record --kind submitter --name ci --team web --key ci.jwk \\
    --source 'https://ci.example/*' --type 'com.example.*' > ci.json
  qat member record --kind admin --name bella --team audit --key bella.jwk > bella.json
  qat member record --kind node --dir ledger/delta > delta.json
  qat member record --kind node --dir ledger/delta --host 10.0.0.9 --peer-port 9480 --rpc-port 8480 > delta.json

Prints one line of JSON, for "qat member add" and "qat member replace". --key is a public key, as "qat keygen"
prints it. Patterns may hold * for any run of characters. For a node that moves, change "listen" and "rpc" in its
node.json as well.
`

export function addRecordCommand(member: Command): void {
  member
    .command('record')
    .description('make a member record for an admin to admit')
    .addOption(
      new Option('--kind <kind>', 'what it is to be')
        .choices(['submitter', 'admin', 'node'])
        .makeOptionMandatory(),
    )
    .option('--name <name>', 'name of the member', memberName)
    .option('--team <team>', 'whose it is')
    .option('--key <file>', 'public key: JWK or PEM')
    .option('--source <pattern...>', 'sources that a submitter may speak for')
    .option('--type <pattern...>', 'types that a submitter may log')
    .option('--dir <dir>', 'folder of a node, for its record')
    .option('--host <host>', 'where others reach a node, if it moves', hostName)
    .option('--peer-port <port>', 'its port for peers', wholeNumber(1, 65_535))
    .option('--rpc-port <port>', 'its port for JSON-RPC', wholeNumber(1, 65_535))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, self: Command) => {
      printJson(memberToJson(await record(self.optsWithGlobals<Options>())))
    })
}

async function record(options: Options): Promise<Member> {
  if (options.kind === 'node') return nodeRecord(options)
  refuseBeside(options, ['dir', 'host', 'peerPort', 'rpcPort'])
  const { name, team, key: path } = options
  if (name === undefined || team === undefined || path === undefined) {
    throw new CliError('usage', `--name, --team and --key are needed for the record of a ${options.kind}.`)
  }
  const [key, another] = await readKeys(path)
  if (!key || another) throw new CliError('file', `${path} must hold one public key.`, { path })
  if (options.kind === 'admin') {
    refuseBeside(options, ['source', 'type'])
    return { kind: 'admin', name, team, key }
  }
  const { source, type } = options
  if (!source || !type) {
    throw new CliError('usage', "--source and --type say what a submitter may log; '*' is anything.")
  }
  return { kind: 'submitter', name, team, key, sources: source, types: type }
}

async function nodeRecord(options: Options): Promise<Member> {
  const { dir, host, peerPort, rpcPort, team } = options
  refuseBeside(options, ['name', 'key', 'source', 'type'])
  if (dir === undefined)
    throw new CliError('usage', '--dir is needed: the record holds the keys of that folder.')
  const given = [host, peerPort, rpcPort].filter((part) => part !== undefined).length
  if (given !== 0 && given !== 3) {
    throw new CliError('usage', 'A node that moves needs --host, --peer-port and --rpc-port together.')
  }
  const { addressesOf, recordOfFolder } = await import('../../../node-record.ts') // large, and of no use to the others
  const passphrase = await folderPassphrase(dir)
  const found = await recordOfFolder(dir, passphrase)
  const moved =
    host !== undefined && peerPort !== undefined && rpcPort !== undefined
      ? addressesOf({ host, peerPort, rpcPort })
      : {}
  return { ...found, ...moved, ...(team !== undefined && { team }) }
}

const SPELLING = { peerPort: 'peer-port', rpcPort: 'rpc-port' } as const

function refuseBeside(options: Options, names: readonly (keyof Options)[]): void {
  for (const name of names) {
    if (options[name] === undefined) continue
    const spelled = name in SPELLING ? SPELLING[name as keyof typeof SPELLING] : name
    throw new CliError('usage', `--${spelled} says nothing about a member of the kind ${options.kind}.`)
  }
}
