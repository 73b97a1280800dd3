/**
 * A running cluster changes under load, by the command line alone: a node joins, one leaves and comes back, one
 * changes its keys and one its address. Whatever became final meanwhile is proved from the founding policy.
 */
import assert from 'node:assert/strict'
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { type Exit, NodeProcess } from '../../node/devnet/child.ts'
import { type Devnet, startDevnet } from '../../node/devnet.ts'
import { createClient } from '../../node/rpc/client.ts'
import type { BundleFiles, ClusterStatus, MembershipView, Submission } from '../../node/service.ts'
import { utf8 } from '../../src/bytes.ts'
import { readGenesis } from '../../src/ledger/genesis.ts'
import { bundleFromTexts } from '../../src/light/bundle.ts'
import { verifyBundle } from '../../src/light/verify.ts'
import { type Ended, qat, scratch } from '../cli/run-qat.ts'
import { event, until } from '../support/cluster.ts'
import { freeDevnetPort, freePorts } from '../support/free-ports.ts'

/** How long the cluster may take to see what a change has brought about. */
const SEEN_MS = 60_000
/** Between two submissions of a client: the changes are to find entries under way, not a busy machine. */
const PAUSE_MS = 250

describe('a cluster that changes under load', function () {
  this.timeout(240_000)
  const { path } = scratch()
  const exits: [string, Exit, boolean][] = []
  const final: string[] = []
  let devnet: Devnet
  let echo: NodeProcess
  let echoPorts: readonly number[]
  let loaded = true
  let load: Promise<unknown>

  before(async () => {
    const options = { dir: path('net'), nodes: 4, port: await freeDevnetPort(4), logLevel: 'info' }
    devnet = await startDevnet({ ...options, onExit: (...exit) => exits.push(exit) })
    await copyFile(devnet.policyPath, path('policy'))
    load = Promise.all(['alpha', 'charlie', 'delta'].map(submitTo))
  })
  after(async () => {
    loaded = false
    await load
    await echo?.stop()
    await devnet?.stop()
  })

  const urlOf = (name: string) => devnet.nodes.find((node) => node.name === name)!.rpc
  const client = (name: string) => createClient(urlOf(name), { token: devnet.token, timeoutMs: 10_000 })
  const cluster = async (name = 'alpha') =>
    (await client(name).call('cluster.status')) as unknown as ClusterStatus
  const membership = async () => (await client('alpha').call('membership.get')) as unknown as MembershipView
  const nodeIn = async (name: string) => (await cluster()).nodes.find((node) => node.name === name)
  const admin = () => ['--admin-key', path('net', 'admin.key'), '--rpc', urlOf('alpha')]

  /** Submits one after the other; an attempt that fails was not acknowledged, and does not count. */
  async function submitTo(name: string): Promise<void> {
    while (loaded) {
      const call = client(name).call('event.submit', { event: event(), wait: 'final', timeoutMs: 8_000 })
      const submission = (await call.catch(() => undefined)) as Submission | undefined
      if (submission?.status === 'final') final.push(submission.id)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  async function done(...args: string[]): Promise<Ended> {
    const ended = await qat([...args, '--json'])
    assert.equal(ended.code, 0, `qat ${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
    return ended
  }

  /** Entries go on becoming final with everybody there. */
  async function goesOn(): Promise<void> {
    const before = final.length
    await until(async () => {
      // The node that is asked may be the one that starts again.
      const nodes = (await cluster().catch(() => undefined))?.nodes ?? []
      const sizes = nodes.map(({ finalSize }) => finalSize)
      const together = Math.max(...sizes) - Math.min(...sizes) < 200
      return final.length >= before + 5 && together && nodes.every(({ online }) => online)
    }, SEEN_MS)
  }

  it('admits a node that joins: first as a learner, then as a validator', async () => {
    const { block } = readGenesis(new Uint8Array(await readFile(path('net', 'genesis.block'))))
    echoPorts = await freePorts(2)
    const ports = ['--peer-port', String(echoPorts[0]), '--rpc-port', String(echoPorts[1])]
    const place = ['--name', 'echo', '--team', 'ops', '--host', '127.0.0.1', ...ports]
    await done('join', '--dir', path('echo'), ...place, '--genesis-id', block.id, '--rpc', urlOf('alpha'))
    echo = new NodeProcess(path('echo'), [])
    const { json } = await done('member', 'add', path('echo', 'member.json'), ...admin())
    const said = json().map(({ sequence, kind, cosigners }) => [sequence, kind, cosigners])
    assert.deepEqual(said, [
      [1, 'learner', 3],
      [2, 'validator', 4],
    ])
    assert.equal((await nodeIn('echo'))?.kind, 'validator')
    await goesOn()
  })

  it('removes a node, which stops by itself and says why', async () => {
    await done('member', 'remove', 'bravo', ...admin())
    await until(() => exits.length > 0, SEEN_MS)
    assert.deepEqual(exits, [['bravo', { code: 0, signal: null }, true]])
    assert.match(
      await readFile(path('net', 'bravo', 'log'), 'utf8'),
      /bravo is no member of the ledger any more/,
    )
    const { cosigners, members } = await membership()
    assert.equal(cosigners, 3)
    assert.ok(!members.some((member) => (member as { name: string }).name === 'bravo'))
    await goesOn()
  })

  it('takes it back', async () => {
    const { stdout } = await done('member', 'record', '--kind', 'node', '--dir', path('net', 'bravo'))
    await writeFile(path('bravo.json'), stdout)
    await done('member', 'add', path('bravo.json'), ...admin(), '--learner-only')
    await devnet.restart('bravo')
    await done('member', 'add', path('bravo.json'), ...admin())
    assert.equal((await nodeIn('bravo'))?.kind, 'validator')
    assert.equal((await membership()).cosigners, 4)
    await goesOn()
  })

  it('gives the leader new keys, with which it goes on by itself', async () => {
    const name = (await cluster()).leader!
    const dir = name === 'echo' ? path('echo') : path('net', name)
    const before = await readFile(`${dir}/node.key`, 'utf8')
    await done('rotate', '--dir', dir, ...admin())
    await until(async () => !(await readdir(dir)).includes('next'), SEEN_MS)
    assert.notEqual(await readFile(`${dir}/node.key`, 'utf8'), before)
    await goesOn()
    assert.match(String((await nodeIn(name))?.role), /^(leader|follower)$/)
  })

  it('follows a node to another address', async () => {
    const delta = path('net', 'delta')
    const [port] = await freePorts(1)
    const rpcPort = new URL(urlOf('delta')).port
    const place = ['--host', '127.0.0.1', '--peer-port', String(port), '--rpc-port', rpcPort]
    const { stdout } = await done('member', 'record', '--kind', 'node', '--dir', delta, ...place)
    await writeFile(path('delta.json'), stdout)
    await done('member', 'replace', path('delta.json'), ...admin())
    const config = JSON.parse(await readFile(`${delta}/node.json`, 'utf8'))
    await writeFile(
      `${delta}/node.json`,
      JSON.stringify({ ...config, listen: [`/ip4/127.0.0.1/tcp/${port}`] }),
    )
    await devnet.restart('delta')
    await goesOn()
  })

  it('proves everything that became final, by the founding policy and what followed from it', async () => {
    loaded = false
    await load
    assert.ok(final.length > 50, `${final.length} entries became final`)
    const sequence = (await membership()).sequence
    assert.equal(sequence, 7)
    const joined = `http://127.0.0.1:${echoPorts[1]}`
    await done('policy', 'update', '--policy', path('policy'), '--rpc', joined)
    const policy = utf8(await readFile(path('policy'), 'utf8'))
    assert.match(await readFile(path('policy'), 'utf8'), /^quorum validators\/7$/m)
    for (const id of final) {
      const given = createClient(joined).call('entry.prove', { id })
      const files = (await given) as unknown as BundleFiles
      const verdict = await verifyBundle(opensslSuite, { ...bundleFromTexts(files), policy })
      assert.ok(verdict.ok, JSON.stringify(verdict))
    }
  })

  it('stops a node whose record names keys that it does not have, and says what to do', async () => {
    const { block } = readGenesis(new Uint8Array(await readFile(path('net', 'genesis.block'))))
    const [peerPort, rpcPort] = await freePorts(2)
    const ports = ['--peer-port', String(peerPort), '--rpc-port', String(rpcPort)]
    const place = ['--name', 'foxtrot', '--team', 'ops', '--host', '127.0.0.1', ...ports]
    await done('join', '--dir', path('other'), ...place, '--genesis-id', block.id, '--rpc', urlOf('alpha'))
    const record = JSON.parse(await readFile(path('other', 'member.json'), 'utf8'))
    await writeFile(path('wrong.json'), JSON.stringify({ ...record, name: 'echo' }))
    await done('member', 'replace', path('wrong.json'), ...admin())
    assert.deepEqual(await echo.exited, { code: 5, signal: null })
    assert.match(
      await readFile(path('echo', 'log'), 'utf8'),
      /the membership names for echo\. Put those back, or ask/,
    )
  })

  it('starts again without the nodes that were removed, whose folders are still there', async () => {
    await done('member', 'remove', 'delta', ...admin())
    await until(() => exits.some(([name]) => name === 'delta'), SEEN_MS)
    await devnet.stop()
    const left: string[] = []
    const onExit = (name: string, _: Exit, removed: boolean) => left.push(`${name} ${removed}`)
    devnet = await startDevnet({ dir: path('net'), restart: true, onExit })
    assert.deepEqual(
      devnet.nodes.map(({ name }) => name),
      ['alpha', 'bravo', 'charlie'],
    )
    assert.deepEqual(left, ['delta true'])
  })
})
