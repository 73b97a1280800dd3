/** Real processes and SIGKILL: what was acknowledged is there afterwards, whatever stage was acknowledged. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Devnet, startDevnet } from '../../node/devnet.ts'
import { createClient } from '../../node/rpc/client.ts'
import type { EntryView, NodeStatus, Submission } from '../../node/service.ts'
import { event, until } from '../support/cluster.ts'
import { freeDevnetPort } from '../support/free-ports.ts'

describe('an acknowledged entry survives kill -9', function () {
  this.timeout(90_000)
  let dir: string
  let devnet: Devnet
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qat-crash-'))
    devnet = await startDevnet({ dir, nodes: 4, port: await freeDevnetPort(4), logLevel: 'warn' })
  })
  after(async () => {
    await devnet?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const client = (name: string) => createClient(urlOf(name), { token: devnet.token })
  const urlOf = (name: string) => devnet.nodes.find((node) => node.name === name)!.rpc
  const leader = async () => ((await client('alpha').call('node.status', {})) as NodeStatus).leader!
  const submit = async (name: string, wait: string) =>
    (await client(name).call('event.submit', { event: event(), wait })) as Submission
  const stageOf = async (name: string, id: string) =>
    ((await client(name).call('entry.get', { id })) as EntryView).status

  it('of the leader, right after it said "ordered"', async () => {
    const killed = await leader()
    const { id, status } = await submit(killed, 'ordered')
    assert.equal(status, 'ordered')
    await devnet.kill(killed, 'SIGKILL')
    const survivor = devnet.nodes.find(({ name }) => name !== killed)!.name
    await until(async () => (await stageOf(survivor, id).catch(() => 'unknown')) === 'final')
    await devnet.restart(killed)
    await until(async () => (await stageOf(killed, id).catch(() => 'unknown')) === 'final')
  })

  it('of the only node that knows it, right after it said "pending"', async () => {
    const present = await leader()
    const [lonely, ...others] = devnet.nodes.map(({ name }) => name).filter((name) => name !== present)
    // Without a leader the entry cannot leave the node that took it.
    for (const name of [present, ...others]) await devnet.kill(name, 'SIGKILL')
    const { id, status } = await submit(lonely!, 'pending')
    assert.equal(status, 'pending')
    await devnet.kill(lonely!, 'SIGKILL')
    await Promise.all(devnet.nodes.map(({ name }) => devnet.restart(name)))
    await until(async () => (await stageOf(present, id).catch(() => 'unknown')) === 'final', 30_000)
  })
})
