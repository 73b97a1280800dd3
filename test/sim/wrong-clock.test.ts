/** Validators whose clocks are further apart than a seal may lie in the future. */
import { equal, match, ok } from 'node:assert/strict'
import { useNativeCode } from '../../node/crypto/native.ts'
import type { NodeStatus } from '../../node/service.ts'
import { Random } from '../consensus/sim/random.ts'
import { castOf } from './cast.ts'
import { Client } from './clients.ts'
import { History } from './history.ts'
import { Judge } from './judge.ts'
import { EPOCH } from './life.ts'
import { SimNetwork } from './network.ts'
import { SimNode } from './node.ts'
import { standInSuite } from './suite.ts'
import { Timeline } from './timeline.ts'
import { Transcript } from './transcript.ts'

const HOUR_MS = 3_600_000

/** Simulated nodes without any faults but those of their clocks. */
async function clusterOf(size: number) {
  useNativeCode()
  const timeline = new Timeline()
  const random = new Random(1)
  const cast = await castOf(size, 0, standInSuite, false)
  const judge = new Judge(cast.genesis, cast.suite, false, () => EPOCH + timeline.now)
  const shared = { timeline, random, judge, transcript: new Transcript(1, () => timeline.now) }
  const network = new SimNetwork(cast.names, shared)
  const pace = { syncMaxMs: 5, readMaxMs: 0, verifyMaxMs: 0 }
  const world = {
    ...shared,
    cast,
    network,
    pace,
    lies: false,
    suspended: false,
    accomplices: () => [],
    stops: {},
    lieCounts: {},
    hints: () => [],
  }
  const nodes = cast.names.map((name) => new SimNode(name, true, world))
  const history = new History(() => timeline.now)
  const fail = (finding: string) => judge.fail(finding)
  const client = new Client('client-0', cast.clients[0]!, {
    timeline,
    random,
    nodes,
    history,
    thinkMaxMs: 300,
    fail,
  })
  /** Until `done`, at most for so many simulated milliseconds: whether it came to that. */
  const until = async (ms: number, done: () => boolean) => {
    const end = timeline.now + ms
    while (!done()) {
      const event = timeline.next(end)
      if (event === undefined) break
      event.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    equal(judge.violation, undefined)
    return done()
  }
  const leader = () => nodes.find(({ ledger }) => ledger?.status().role === 'leader')
  /** Whether an entry that comes to this node becomes final within twenty seconds, if it is sent again and again. */
  const logs = async (node: SimNode) => {
    let final = false
    const send = async () => {
      while (!final && !client.stopped) final = await client.log(node, 'final')
    }
    client.stopped = false
    void send()
    await until(20_000, () => final)
    client.stopped = true
    return final
  }
  return { nodes, until, leader, logs }
}

function noteOf(node: SimNode): string {
  const status: NodeStatus | undefined = node.ledger?.status()
  return status?.note ?? ''
}

describe('a validator whose clock is wrong', () => {
  it('goes on leading when its clock jumps ahead, by the time of the others, and says so', async () => {
    const { nodes, until, leader, logs } = await clusterOf(4)
    for (const node of nodes) node.start()
    ok(await until(10_000, () => leader() !== undefined))
    ok(await logs(nodes[0]!))
    const wrong = leader()!
    wrong.clock.jump(HOUR_MS)
    for (const node of nodes) ok(await logs(node), `an entry through ${node.name}`)
    ok(await until(6_000, () => noteOf(wrong) !== ''))
    match(noteOf(wrong), /^This node's clock is more than 10 s ahead of most validators' clocks/)
    wrong.clock.correct()
    ok(await until(20_000, () => noteOf(wrong) === ''))
    const heard = () => nodes.every(({ ledger }) => ledger?.cluster().nodes.every(({ online }) => online))
    ok(await until(20_000, heard), 'set right, it is heard again')
  })

  it('opens no term with a block that the others refuse, when its clock was wrong from the start', async () => {
    const { nodes, until, leader, logs } = await clusterOf(4)
    const [wrong, other, third, last] = nodes
    wrong!.clock.jump(HOUR_MS)
    // What the others say of themselves when they start finds it not there to hear it.
    other!.start()
    third!.start()
    await until(500, () => false)
    wrong!.start()
    ok(await until(1_000, () => wrong!.ledger?.status().peers.length === 2))
    // It stands as soon as it has heard what others hold of its signatures.
    for (let tries = 0; tries < 30 && leader() !== wrong; tries++) {
      wrong!.ledger!.replica.driver.campaign()
      await until(100, () => leader() === wrong)
    }
    equal(leader(), wrong)
    const before = wrong!.ledger!.status().height
    ok(await until(1_000, () => wrong!.ledger!.status().height > before))
    last!.start()
    ok(await logs(other!))
  })

  it('is named when it is behind, by itself and by the others', async () => {
    const { nodes, until, leader, logs } = await clusterOf(4)
    for (const node of nodes) node.start()
    ok(await until(10_000, () => leader() !== undefined))
    const wrong = nodes.find((node) => node !== leader())!
    wrong.clock.jump(-HOUR_MS)
    ok(await until(30_000, () => nodes.every((node) => noteOf(node) !== '')))
    match(noteOf(wrong), /^This node's clock is more than 10 s behind most validators' clocks/)
    match(noteOf(leader()!), new RegExp(`^The clock of ${wrong.name} is more than 10 s behind`))
    ok(await logs(leader()!))
  })
})
