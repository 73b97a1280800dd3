/** Four nodes whose links are keyed by simulated QKD: what operators see when fibres fail, and what nobody ever sees. */
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { KeyService } from '../../node/kme/key-service.ts'
import type { LinkView, Submission } from '../../node/service.ts'
import { toBase64, toHex } from '../../src/bytes.ts'
import { envelopeJson, signedEvent, startCluster, type TestCluster, until } from '../support/cluster.ts'
import { freePorts } from '../support/free-ports.ts'

const MAX_AGED_SECONDS = 5
/** A block of 5 km in three seconds: four nodes of one machine keep up with that. */
const PULSES_PER_SECOND = 5_000_000

describe('a cluster keyed by QKD', function () {
  this.timeout(120_000)
  let cluster: TestCluster
  const delivered: string[] = []
  let logs = ''
  const spied = { issue: KeyService.prototype.issue, claim: KeyService.prototype.claim }
  const written = fs.writeSync

  const links = async (name: string) => (await cluster.call<{ links: LinkView[] }>(name, 'qkd.status')).links
  const states = async () => (await Promise.all(cluster.names.map(links))).flat().map(({ state }) => state)
  const commit = async () => {
    const params = {
      entry: envelopeJson(await signedEvent(cluster.submitter)),
      wait: 'final',
      timeoutMs: 20_000,
    }
    assert.equal((await cluster.call<Submission>('bravo', 'entry.submit', params)).status, 'final')
  }
  const recorded = async (type: string) => {
    const { entries } = await cluster.call<{ entries: { entry: { payload: string } }[] }>(
      'alpha',
      'entry.query',
      { type },
    )
    return entries.map(({ entry }) => JSON.parse(Buffer.from(entry.payload, 'base64').toString()))
  }

  before(async () => {
    // All that the nodes log goes this way; nothing of it is shown.
    fs.writeSync = ((fd: number, text: string, ...rest: unknown[]) => {
      if (fd !== 2) return Reflect.apply(written, fs, [fd, text, ...rest])
      logs += String(text)
      return Buffer.byteLength(String(text))
    }) as typeof fs.writeSync
    KeyService.prototype.issue = async function (...args) {
      const keys = await spied.issue.apply(this, args)
      delivered.push(...keys.flatMap(({ bytes }) => [toHex(bytes), toBase64(bytes)]))
      return keys
    }
    const ports = await freePorts(8)
    cluster = await startCluster({
      logLevel: 'trace',
      token: { name: 'operator', sources: ['*'], types: ['*'] },
      qkd: {
        mode: 'require',
        pulsesPerSecond: PULSES_PER_SECOND,
        maxAgedSeconds: MAX_AGED_SECONDS,
        ports: (_node, i) => ({ api: ports[2 * i]!, links: ports[2 * i + 1]! }),
      },
    })
  })
  after(async () => {
    KeyService.prototype.issue = spied.issue
    await cluster?.close()
    fs.writeSync = written
  })

  it('has a QKD key in every link, and says so', async () => {
    await until(async () => (await states()).join() === Array(12).fill('FRESH').join())
    for (const { link, qber, keysStored, simulated, secretKeyRate, fibre } of await links('alpha')) {
      assert.match(link, /^alpha-(bravo|charlie|delta)$/)
      assert.ok(simulated && fibre === 'OK' && keysStored > 0 && secretKeyRate > 0 && qber! < 0.02)
    }
    await until(async () => (await recorded('qkd.link.state')).length >= 6)
    await commit()
  })

  it('lets those alone touch fibres who may, and only fibres that are there', async () => {
    const call = (params: object) => cluster.call('alpha', 'qkd.disturb', params)
    await assert.rejects(call({ link: 'bravo-charlie', change: 'cut' }), { code: 'not-found' })
    await assert.rejects(call({ link: 'alpha-bravo', change: 'eve' }), { code: 'invalid-params' })
    await assert.rejects(call({ link: 'alpha-bravo', change: 'eve', fraction: 2 }), {
      code: 'invalid-params',
    })
    const response = await fetch(`${cluster.url('alpha')}/rpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"qkd.disturb","params":{"link":"alpha-bravo","change":"cut"}}',
    })
    assert.equal((await response.json()).error.data.code, 'unauthorized')
  })

  it('shows an eavesdropper, and goes on with what it has', async () => {
    await cluster.call('alpha', 'qkd.disturb', { link: 'alpha-bravo', change: 'eve', fraction: 0.5 })
    const tapped = async () => (await links('alpha')).find(({ peer }) => peer === 'bravo')!
    await until(async () => ['ALARM', 'DOWN'].includes((await tapped()).fibre))
    await until(async () => (await tapped()).state === 'AGED')
    const { qber, blocks } = await tapped()
    assert.ok(qber! > 0.11 && blocks!.qber_abort! > 0)
    await commit()
    const [alarm] = await recorded('qkd.link.qber')
    assert.deepEqual([alarm.source, alarm.subject, alarm.data.peer], ['/alpha', 'alpha-bravo', 'bravo'])
    await cluster.call('alpha', 'qkd.disturb', { link: 'alpha-bravo', change: 'restore' })
    await until(async () => (await tapped()).state === 'FRESH')
  })

  it('goes on while all fibres are cut, and closes links that have been AGED too long', async () => {
    for (const name of cluster.names) {
      for (const { link } of await links(name))
        await cluster.call(name, 'qkd.disturb', { link, change: 'cut' })
    }
    await until(async () => (await states()).every((state) => state === 'AGED'))
    await commit()
    const changes = (await recorded('qkd.link.state')).map(({ data }) => `${data.from}>${data.to}`)
    assert.ok(changes.filter((change) => change === 'FRESH>AGED').length >= 6, changes.join())
    await until(async () => (await states()).every((state) => state === 'NONE'))
    // Nobody pretends: without links there is no quorum, and the nodes say so.
    await until(async () => cluster.names.every((name) => cluster.running(name).status().peers.length === 0))
    await until(async () => (await cluster.call('alpha', 'cluster.status')).leader === undefined)
    for (const name of cluster.names) {
      for (const { link } of await links(name))
        await cluster.call(name, 'qkd.disturb', { link, change: 'restore' })
    }
    await until(async () => (await states()).every((state) => state === 'FRESH'))
    await commit()
  })

  it('shows no key in any log or metric', async () => {
    const pages = await Promise.all(
      cluster.names.map(async (name) => (await fetch(`${cluster.url(name)}/metrics`)).text()),
    )
    for (const name of [
      'qber',
      'secret_bytes_per_second',
      'pool_keys',
      'blocks_total',
      'link_state',
      'rekeys_total',
      'enc_keys_total',
    ]) {
      assert.match(pages[0]!, new RegExp(`^qat_qkd_${name}\\{`, 'm'))
    }
    assert.ok(delivered.length > 24 && logs.includes('"level":20'), `${delivered.length} ${logs.length}`)
    const seen = [logs, ...pages].join('\n')
    for (const key of delivered) assert.ok(!seen.includes(key), 'a key was logged')
  })
})
