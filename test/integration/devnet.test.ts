/** `qat devnet`: four real processes under one parent, used by the real command line, and none left at the end. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Devnet, startDevnet } from '../../node/devnet.ts'
import type { LinkView } from '../../node/service.ts'
import { type Ended, isAlive, qat, scratch, untilPrinted } from '../cli/run-qat.ts'
import { until } from '../support/cluster.ts'
import { freeDevnetPort } from '../support/free-ports.ts'

interface Ready {
  readonly nodes: {
    readonly name: string
    readonly rpc: string
    readonly pid: number
    readonly dir: string
  }[]
  readonly rpc: string[]
  readonly token: string
  readonly key: string
  readonly policy: string
}

/** The processes that run a node of this devnet. */
function nodesOf(dir: string): number[] {
  const processes = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n')
  return processes
    .filter((line) => line.includes(` start --dir ${dir}/`))
    .map((line) => Number.parseInt(line, 10))
}

describe('a devnet', function () {
  this.timeout(120_000)
  const { path } = scratch()

  it('serves the whole command line, and leaves no process behind', async () => {
    const port = await freeDevnetPort(4)
    let parent: ChildProcess | undefined
    const ended: Promise<Ended> = qat(['devnet', '--dir', path('net'), '--port', String(port), '--json'], {
      during: (child) => {
        parent = child
      },
    })
    const ready = JSON.parse(await untilPrinted(parent!, /\n/)) as Ready
    assert.deepEqual(
      ready.nodes.map(({ name }) => name),
      ['alpha', 'bravo', 'charlie', 'delta'],
    )
    assert.deepEqual(
      ready.rpc,
      [0, 1, 2, 3].map((i) => `http://127.0.0.1:${port + i}`),
    )
    assert.deepEqual(nodesOf(path('net')).toSorted(), ready.nodes.map(({ pid }) => pid).toSorted())

    // Nodes of another ledger answer on these ports: nothing is made that would go on naming them.
    const rival = startDevnet({ dir: path('rival'), port })
    await assert.rejects(
      rival,
      /The port \d+ on 127\.0\.0\.1 is in use by another program\. Give others by --port/,
    )
    await assert.rejects(access(path('rival')))
    const again = startDevnet({ dir: path('net') })
    await assert.rejects(again, /in use by another program\. Is the devnet in .* running already\?/)

    const env = { QAT_RPC: ready.rpc[1]!, QAT_TOKEN: ready.token }
    const what = ['--source', '//demo', '--type', 'demo.hello', '--subject', 'world', '--data', '{"n":1}']
    const logged = await qat(['log', ...what, '--wait', 'final', '--json'], { env })
    const { id, status, index } = logged.json()[0]!
    assert.equal(status, 'final')
    const elsewhere = { ...env, QAT_RPC: ready.rpc[3]! }
    const got = await qat(['get', String(id), '--json'], { env: elsewhere })
    const { payload } = got.json()[0] as { payload: { data: unknown } }
    assert.deepEqual(payload.data, { n: 1 })
    const found = await qat(['query', '--subject', 'world', '--json'], { env: elsewhere })
    assert.deepEqual(
      found.json().map((entry) => entry.id),
      [id],
    )
    const signed = ['--key', ready.key, ...what, '--subject', 'signed', '--wait', 'final', '--json']
    assert.equal(
      (await qat(['log', ...signed], { env: { QAT_RPC: ready.rpc[2]! } })).json()[0]?.status,
      'final',
    )
    assert.equal((await qat(['prove', String(index), '--out', path('proof')], { env: elsewhere })).code, 0)
    const verified = await qat(['verify', path('proof'), '--policy', ready.policy, '--json'])
    assert.equal(verified.json()[0]?.id, id)
    const seen = await qat(['status'], { env })
    assert.equal(seen.stdout.match(/ {2}yes {2}/g)?.length, 4)

    await until(async () => {
      const { stdout } = await qat(['qkd', 'status', '--json'], { env })
      const links = JSON.parse(stdout) as LinkView[]
      return links.length === 3 && links.every(({ state, simulated }) => state === 'FRESH' && simulated)
    })
    const shown = await qat(['qkd', 'status'], { env })
    assert.match(shown.stdout, /^LINK +STATE +FIBRE.*\nalpha-bravo +FRESH +OK +[01]\.\d\d % /)
    const cut = await qat(['qkd', 'cut', 'alpha-bravo'], { env })
    assert.deepEqual([cut.code, /^alpha-bravo: done/.test(cut.stdout)], [0, true])
    const nowhere = await qat(['qkd', 'eve', 'alpha-delta', '--fraction', '0.5'], { env })
    assert.deepEqual([nowhere.code, /no fibre "alpha-delta"/.test(nowhere.stderr)], [1, true])
    const folder = ready.nodes[3]!.dir
    const mixed = await qat(['keygen', '--out', path('mixed.key'), '--qkd', '--dir', folder, '--json'])
    assert.equal(mixed.json()[0]?.qkd, true)

    parent!.kill('SIGTERM')
    const { code, stdout, stderr } = await ended
    assert.deepEqual([code, stderr, stdout.split('\n').length], [0, '', 2])
    assert.deepEqual(nodesOf(path('net')), [])
    const log = (await readFile(join(ready.nodes[0]!.dir, 'log'), 'utf8')).trimEnd().split('\n')
    assert.equal(JSON.parse(log.at(-1)!).msg, 'the node has stopped')
  })

  it('goes on where it was, and takes its nodes along when it is killed outright', async () => {
    let parent: ChildProcess | undefined
    const ended = qat(['devnet', '--dir', path('net'), '--json'], {
      during: (child) => {
        parent = child
      },
    })
    const ready = JSON.parse(await untilPrinted(parent!, /\n/)) as Ready
    const { stdout } = await qat(['query', '--subject', 'world', '--json'], {
      env: { QAT_RPC: ready.rpc[0]! },
    })
    assert.equal(stdout.split('\n').length, 2)
    const [lost] = ready.nodes
    process.kill(lost!.pid, 'SIGKILL')
    const told = await untilPrinted(parent!, /"exit".*\n/)
    assert.deepEqual(JSON.parse(told), { event: 'exit', name: lost!.name, code: null, signal: 'SIGKILL' })
    parent!.kill('SIGKILL')
    await ended
    await until(() => nodesOf(path('net')).length === 0, 20_000)
  })

  it('refuses to be continued as what it is not', async () => {
    const other = await qat(['devnet', '--dir', path('net'), '--nodes', '7'])
    assert.equal(other.code, 1)
    assert.match(other.stderr, /^qat: The devnet in [^\n]+ has 4 nodes, not 7\.[^\n]+\n$/)
    const filled = await qat(['devnet', '--dir', path('proof')])
    assert.match(filled.stderr, /^qat: [^\n]+ is not empty[^\n]+\n$/)
  })

  describe('in the hands of a script', () => {
    let devnet: Devnet
    const lost: string[] = []
    before(async () => {
      const options = { dir: path('script'), port: await freeDevnetPort(4), nodes: 1, logLevel: 'warn' }
      devnet = await startDevnet({ ...options, onExit: (name) => lost.push(name) })
    })
    after(() => devnet?.stop())

    it('kills and restarts a node, without calling it a loss', async () => {
      const [alpha] = devnet.nodes
      const first = alpha!.pid!
      await devnet.kill('alpha', 'SIGKILL')
      assert.ok(!isAlive(first))
      assert.equal(alpha!.pid, undefined)
      await devnet.restart('alpha')
      assert.ok(alpha!.pid !== first && isAlive(alpha!.pid!))
      assert.deepEqual(lost, [])
      await assert.rejects(devnet.kill('zulu', 'SIGTERM'), { code: 'devnet-options' })
    })

    it('has the policy and the token of its nodes', async () => {
      assert.match(await readFile(devnet.policyPath, 'utf8'), /^log .*\nquorum validators\n$/s)
      assert.match(devnet.token, /^qat_/)
    })
  })
})
