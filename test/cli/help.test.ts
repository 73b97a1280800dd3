import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { EXIT } from '../../node/cli/exit.ts'
import { type Failure, failureOf } from '../../node/cli/failure.ts'
import { createProgram } from '../../node/cli/program.ts'
import { QAT, qat } from './run-qat.ts'

/** What a command line comes to, without a process of its own. */
async function inProcess(args: readonly string[]): Promise<{ failure: Failure; printed: string }> {
  let printed = ''
  const program = createProgram()
  for (const command of withinAll(program)) command.configureOutput({ writeOut: (text) => (printed += text) })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    return { failure: failureOf(error), printed }
  }
  throw new Error(`qat ${args.join(' ')} succeeded.`)
}

const COMMANDS = createProgram().commands.map((command) => command.name())
/** Every command line without its options: `log`, `member`, `member add`. */
const CALLS = callsOf(createProgram())

function callsOf(command: Command, before: readonly string[] = []): string[][] {
  return command.commands.flatMap((each) => {
    const call = [...before, each.name()]
    return [call, ...callsOf(each, call)]
  })
}

function withinAll(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withinAll)]
}

describe('qat, asked wrongly or for help', () => {
  it('lists every command, the environment and the exit codes', async () => {
    const { code, stdout, stderr } = await qat(['--help'])
    assert.deepEqual([code, stderr], [0, ''])
    for (const name of COMMANDS) assert.match(stdout, new RegExp(`^ {2}${name}( |$)`, 'm'))
    assert.match(
      stdout,
      /Exit codes:\n {2}0 [^\n]+\n {2}1 [^\n]+\n {2}2 [^\n]+\n {2}3 [^\n]+\n {2}4 [^\n]+\n {2}5 [^\n]+\n {2}6 [^\n]+\n {2}7 [^\n]+\n {2}70 /,
    )
    assert.match(stdout, /QAT_TOKEN.*QAT_PASSPHRASE/s)
  })

  it('explains each command by examples', async () => {
    for (const call of CALLS) {
      const name = call.join(' ')
      const { failure, printed } = await inProcess([...call, '--help'])
      assert.equal(failure.code, 'usage')
      assert.match(printed, new RegExp(`^Usage: qat ${name} `))
      assert.match(printed, new RegExp(`Examples:\n.*qat ${name} `, 's'))
      assert.match(printed, /--json/)
      for (const line of printed.split('\n')) assert.ok(line.length <= 120, line)
    }
  })

  const INIT = ['init', '--dir', '/nowhere/x', '--ledger', 'l']
  const WRONG: [string[], RegExp][] = [
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['status', '--bogus'], /unknown option '--bogus'/],
    [['keygen'], /'--out <file>' not specified/],
    [['keygen', '--out', '/nowhere', '--alg', 'RSA'], /ML-DSA-44, ML-DSA-65, ML-DSA-87/],
    [['get', 'zz'], /"zz" is no entry/],
    [['get', 'AB'.repeat(32)], /64 lower-case hex digits/],
    [['get', '1', '2'], /too many arguments/],
    [['status', '--rpc', 'ftp://x'], /http:\/\/127\.0\.0\.1:8480/],
    [['log', '--timeout', '0', '--token', 't'], /number of seconds/],
    [['log', '--source', 's', '--type', 't', '--subject', 'u'], /--key to sign here, or --token/],
    [['log', '--token', 't', '--source', 's', '--type', 't'], /--subject is needed/],
    [['log', '--token', 't', '--wait', 'soon'], /pending, ordered, final/],
    [['log', '--token', 't', '--time', 'yesterday'], /RFC 3339/],
    [['log', '--in-toto', 'x.json'], /--in-toto needs --key/],
    [['log', '--key', 'k', '--in-toto', 'x', '--type', 't'], /--type cannot stand beside --in-toto/],
    [['log', '--token', 't', '--batch', 'b', '--id', 'i'], /cannot stand beside --batch/],
    [['query', '--limit', '0'], /whole number from 1/],
    [['query', '--from', '2026-13-01T00:00:00Z'], /RFC 3339/],
    [['query', '--order', 'up'], /asc, desc/],
    [['watch', '--topics', 'gossip'], /entries, blocks, checkpoints/],
    [['init', '--dir', '/nowhere/x', '--ledger', 'l'], /either --nodes or one --node/],
    [['init', '--dir', '/nowhere/x', '--ledger', 'a b', '--nodes', '4'], /URL without scheme/],
    [['init', '--dir', '/nowhere/x', '--ledger', 'l', '--node', 'A=h'], /a-z, 0-9/],
    [['init', '--dir', '/nowhere/x', '--ledger', 'l', '--node', 'a=h', '--node', 'a=i'], /Two nodes/],
    [['init', '--dir', '/nowhere/x', '--ledger', 'l', '--nodes', '2', '--cosigners', '3'], /2 nodes/],
    [[...INIT, '--ledger', 'https://audit.example/x', '--nodes', '4'], /without scheme/],
    [[...INIT, '--ledger', 'audit.example/', '--nodes', '4'], /without scheme/],
    [
      [...INIT, '--node', 'a=h:8480', '--node', 'b=h:8480'],
      /a for JSON-RPC and b for JSON-RPC .* h port 8480/,
    ],
    [[...INIT, '--node', 'a=h:8480', '--node', 'b=H:9480'], /a for peers and b for JSON-RPC would both/],
    [
      [...INIT, '--node', 'a=h:8480', '--node', 'b=h:8580', '--qkd', 'prefer'],
      /a for its KME and b for JSON-RPC/,
    ],
    [[...INIT, '--node', 'a=h:8480:8480'], /a for JSON-RPC and a for peers would both/],
    [[...INIT, '--node', 'a=http://h'], /\[team\/\]name=host/],
    [[...INIT, '--node', 'a=300.1.1.1'], /host name or an IP address/],
    [[...INIT, '--node', 'a=h/path'], /host name or an IP address/],
    [[...INIT, '--nodes', '4', '--cosigners', '1'], /4 nodes can have 3 to 4 cosigners, not 1\. .* for 3/],
    [[...INIT, '--nodes', '7', '--cosigners', '3'], /4 to 7 cosigners/],
    [['join', '--dir', '/nowhere/x', '--team', 't', '--host', 'h'], /'--name <name>' not specified/],
    [['join', '--dir', '/nowhere/x', '--name', 'N5'], /a-z, 0-9/],
    [['member', 'frobnicate'], /unknown command 'frobnicate'/],
    [['member', 'add', 'x.json'], /'--admin-key <file>' not specified/],
    [['member', 'remove', 'n2', '--admin-key', 'k', '--cosigners', '0'], /whole number from 1 to 15/],
    [['member', 'record', '--kind', 'king'], /submitter, admin, node/],
    [['member', 'record', '--kind', 'admin', '--name', 'a', '--team', 't'], /--name, --team and --key/],
    [['member', 'record', '--kind', 'node'], /--dir is needed/],
    [['member', 'record', '--kind', 'node', '--dir', 'd', '--key', 'k'], /--key says nothing about/],
    [['member', 'record', '--kind', 'admin', '--peer-port', '1'], /--peer-port says nothing about/],
    [['rotate'], /'--dir <dir>' not specified/],
    [['devnet', '--dir', '/nowhere/x', '--nodes', '99'], /whole number from 1 to 15/],
  ]
  for (const [args, sentence] of WRONG) {
    it(`refuses: qat ${args.join(' ')}`, async () => {
      const { failure } = await inProcess(args)
      assert.equal(failure.exit, EXIT.usage)
      assert.match(failure.message, sentence)
    })
  }

  it('refuses with exit code 2, one sentence, and where to read on', async () => {
    for (const args of [['status', '--bogus'], ['get', 'zz'], ['frobnicate'], ['member', 'frobnicate']]) {
      const { code, stdout, stderr } = await qat(args)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, /^qat: [^\n]+\n {5}See: qat [^\n]*--help\n$/)
    }
  })

  it('suggests the command that was meant, on the same line', async () => {
    const { code, stderr } = await qat(['stauts'])
    assert.equal(code, 2)
    assert.match(stderr, /^qat: unknown command 'stauts' \(Did you mean status\?\)\n {5}See: qat --help\n$/)
  })

  it('says that its answer could not be written, and fails', async function () {
    const full = await open('/dev/full', 'w').catch(() => undefined)
    if (full === undefined) return this.skip()
    try {
      for (const args of [['--version'], ['kme', '--help'], ['get', 'zz', '--json']]) {
        const child: ChildProcess = spawn(process.execPath, [QAT, ...args], {
          stdio: ['ignore', full.fd, 'pipe'],
        })
        const [stderr, [code]] = await Promise.all([text(child.stderr!), once(child, 'close')])
        assert.equal(code, 1)
        assert.match(stderr, /^qat: The result could not be written to standard output: ENOSPC[^\n]*\n$/)
      }
    } finally {
      await full.close()
    }
  })

  it('reports the same as one line of JSON on standard output if asked to', async () => {
    const { code, stderr, json } = await qat(['get', 'zz', '--json'])
    const message = '"zz" is no entry: give 64 lower-case hex digits, or an index.'
    assert.deepEqual(json(), [{ error: { code: 'usage', message } }])
    assert.deepEqual([code, stderr], [2, ''])
    const early = await qat(['--json', 'status', '--bogus'])
    assert.match(early.stdout, /^\{"error":\{"code":"usage","message":"[^\n]+\n$/)
  })

  it('shows the help when called with nothing, as an error', async () => {
    const { code, stderr } = await qat([])
    assert.equal(code, 2)
    assert.match(stderr, /^Usage: qat /)
  })

  it('keeps stack traces for those who ask for them', async () => {
    const quiet = await qat(['verify', '/nowhere'])
    const loud = await qat(['verify', '/nowhere'], { env: { QAT_DEBUG: '1' } })
    assert.doesNotMatch(quiet.stderr, /\n\s+at /)
    assert.match(loud.stderr, /\n\s+at .*Caused by: /s)
  })
})
