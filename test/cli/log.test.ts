/** `qat log` against a real JSON-RPC server with a ledger behind it that only remembers what it was asked. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { type LedgerService, ServiceError, type Submission } from '../../node/service.ts'
import { fromUtf8 } from '../../src/bytes.ts'
import { RefusedError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import { type Entry, signatureCheck, verifyAll } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { HASH, type Harness, startServer, TOKEN } from '../rpc/fake-service.ts'
import { freePorts } from '../support/free-ports.ts'
import { qat, scratch } from './run-qat.ts'

const SEED = new Uint8Array(32).fill(9)
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const WHAT = ['--source', '//ci', '--type', 'ci.build', '--subject', 'app@1']

describe('qat log', () => {
  const { path } = scratch()
  const servers: Harness[] = []
  const serve = async (overrides: Partial<LedgerService> = {}, port?: number) => {
    const server = await startServer(overrides, port === undefined ? {} : { port })
    servers.push(server)
    return server
  }
  before(async () => {
    await writeKeyFile(path('team.key'), 'ML-DSA-65', SEED.slice())
    await writeKeyFile(path('sealed.key'), 'ML-DSA-65', SEED.slice(), 'sesame')
  })
  after(() => Promise.all(servers.map((server) => server.close())))

  const eventsOf = ({ service }: Harness) =>
    service.asked.find(([name]) => name === 'submitEvents')?.[1] as JsonObject[]
  const entryOf = ({ service }: Harness) => service.asked.find(([name]) => name === 'submit')?.[1] as Entry
  const payloadOf = (entry: Entry) => JSON.parse(fromUtf8(entry.envelope.payload))

  it('sends an event for the node to sign, and prints where it went', async () => {
    const server = await serve()
    const data = '{"ok":true,"n":[1,2]}'
    const { code, stdout, stderr } = await qat(['log', ...WHAT, '--data', data, '--rpc', server.url], {
      env: { QAT_TOKEN: TOKEN },
    })
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(stdout, `Entry   ${HASH}\nStatus  final\nIndex   7\nBlock   2\n`)
    const [event, ...others] = eventsOf(server)
    assert.equal(others.length, 0)
    const { id, time, ...rest } = event!
    assert.match(String(id), UUID)
    assert.ok(Math.abs(Date.now() - Date.parse(String(time))) < 60_000)
    assert.deepEqual(rest, {
      specversion: '1.0',
      source: '//ci',
      type: 'ci.build',
      subject: 'app@1',
      datacontenttype: 'application/json',
      data: { ok: true, n: [1, 2] },
    })
  })

  it('takes data from a file or standard input, and id and time from the caller', async () => {
    await writeFile(path('data.json'), '{"from":"file"}')
    const cases = [
      [`@${path('data.json')}`, { from: 'file' }],
      ['-', { from: 'stdin' }],
      ['"text"', 'text'],
    ] as const
    for (const [data, expected] of cases) {
      const server = await serve()
      const args = ['--id', 'run-1', '--time', '2026-01-01T00:00:00+01:00', '--data', data, '--token', TOKEN]
      const { json } = await qat(['log', ...WHAT, ...args, '--json', '--rpc', server.url], {
        stdin: '{"from":"stdin"}',
      })
      assert.deepEqual(json(), [{ id: HASH, status: 'final', index: 7, height: 2 }])
      const [event] = eventsOf(server)
      assert.deepEqual(
        [event?.id, event?.time, event?.data],
        ['run-1', '2026-01-01T00:00:00+01:00', expected],
      )
    }
  })

  it('signs here if given a key, and binds the event to the ledger', async () => {
    const server = await serve()
    for (const [file, env] of [
      ['team.key', {}],
      ['sealed.key', { QAT_PASSPHRASE: 'sesame' }],
    ] as const) {
      server.service.asked.length = 0
      const args = ['log', ...WHAT, '--key', path(file), '--rpc', server.url, '--json']
      const { code, json } = await qat(args, { env })
      const entry = entryOf(server)
      assert.equal(code, 0)
      assert.equal(json()[0]?.id, entry.id)
      assert.equal(entry.envelope.payloadType, PAYLOAD_TYPES.event)
      assert.equal(payloadOf(entry).ledger, 'example.org/ledger')
      const { publicKey } = opensslSuite.signer('ML-DSA-65', SEED)
      assert.ok(await verifyAll(opensslSuite, [signatureCheck(entry.envelope, 0, publicKey)]))
    }
  })

  it('shows a token to nobody where a key signs', async () => {
    const seen: unknown[] = []
    const result = { ledger: 'example.org/ledger', id: HASH, status: 'final' }
    const nosy = createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }))
    })
    await once(nosy.listen(0, '127.0.0.1'), 'listening')
    try {
      const url = `http://127.0.0.1:${(nosy.address() as AddressInfo).port}`
      const args = ['log', ...WHAT, '--key', path('team.key'), '--rpc', url]
      assert.equal((await qat(args, { env: { QAT_TOKEN: TOKEN } })).code, 0)
      assert.deepEqual(seen, [undefined, undefined])
    } finally {
      nosy.closeAllConnections()
      nosy.close()
    }
  })

  it('sends a batch, as an array or as lines, in which the options fill what is missing', async () => {
    const lines = '{"subject":"a","id":"1"}\n\n{"subject":"b","id":"2","type":"ci.other"}\n'
    const list = `[${lines.trim().replace('\n\n', ',')}]`
    await writeFile(path('batch.json'), list)
    const args = ['log', '--source', '//ci', '--type', 'ci.build', '--batch']
    for (const file of ['-', path('batch.json')]) {
      const server = await serve()
      const { code } = await qat([...args, file, '--token', TOKEN, '--rpc', server.url], { stdin: lines })
      assert.equal(code, 0)
      const sent = eventsOf(server).map(({ id, source, type, subject }) => [id, source, type, subject])
      assert.deepEqual(sent, [
        ['1', '//ci', 'ci.build', 'a'],
        ['2', '//ci', 'ci.other', 'b'],
      ])
    }
    const server = await serve()
    await qat([...args, path('batch.json'), '--key', path('team.key'), '--rpc', server.url])
    const entry = entryOf(server)
    assert.equal(entry.envelope.payloadType, PAYLOAD_TYPES.batch)
    const ledgers = payloadOf(entry).map(({ ledger }: { ledger: string }) => ledger)
    assert.deepEqual(ledgers, ['example.org/ledger', 'example.org/ledger'])
  })

  it('signs an in-toto statement byte for byte', async () => {
    const statement = `{ "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
      "subject": [{ "name": "app", "digest": { "sha256": "${HASH}" } }], "predicate": {} }\n`
    await writeFile(path('statement.json'), statement)
    const server = await serve()
    const args = ['--in-toto', path('statement.json'), '--key', path('team.key'), '--rpc', server.url]
    assert.equal((await qat(['log', ...args])).code, 0)
    const { envelope } = entryOf(server)
    assert.equal(envelope.payloadType, PAYLOAD_TYPES.inToto)
    assert.equal(fromUtf8(envelope.payload), statement)
  })

  it('tells refusals apart from what may work later', async () => {
    const refused = () => {
      throw new RefusedError('not-permitted', 'The key may not speak for //ci.', { source: '//ci' })
    }
    const conflict = () => {
      throw new RefusedError('event-conflict', 'Recorded with other content.')
    }
    const waits = async (): Promise<Submission> => ({ id: HASH, status: 'pending' })
    const cases: [Partial<LedgerService>, string[], number, string][] = [
      [{ submitEvents: refused }, ['--token', TOKEN], 1, 'not-permitted'],
      [{ submitEvents: conflict }, ['--token', TOKEN], 1, 'event-conflict'],
      [{}, ['--token', 'wrong'], 1, 'unauthorized'],
      [{ submitEvents: waits }, ['--token', TOKEN, '--timeout', '0.3'], 3, 'timed-out'],
    ]
    for (const [overrides, args, exit, code] of cases) {
      const server = await serve(overrides)
      const ended = await qat(['log', ...WHAT, ...args, '--rpc', server.url, '--json'])
      assert.deepEqual([ended.code, ended.errorCode()], [exit, code])
    }
  })

  it('asks again while the node is overloaded or does not answer, always with the same event', async () => {
    let calls = 0
    const submitEvents = async (): Promise<Submission> => {
      if (++calls < 3) throw new ServiceError('overloaded', 'Too much.', { retryAfterMs: 20 })
      return { id: HASH, status: 'final' }
    }
    const busy = await serve({ submitEvents })
    assert.equal((await qat(['log', ...WHAT, '--token', TOKEN, '--rpc', busy.url])).code, 0)
    const ids = busy.service.asked.map(([, events]) => (events as JsonObject[])[0]?.id)
    assert.deepEqual([ids.length, new Set(ids).size], [3, 1])

    const [port] = await freePorts(1)
    const later = qat(['log', ...WHAT, '--token', TOKEN, '--rpc', `http://127.0.0.1:${port}`])
    await new Promise((resolve) => setTimeout(resolve, 600))
    const late = await serve({}, port)
    assert.equal((await later).code, 0)
    assert.equal(eventsOf(late).length, 1)
  })

  it('waits until the entry is final, also where the first call did not come as far as it should', async () => {
    const server = await serve({ submission: async (id) => ({ id, status: 'final', index: 7, height: 2 }) })
    const args = ['log', ...WHAT, '--token', TOKEN, '--json', '--rpc', server.url]
    assert.equal((await qat(args)).json()[0]?.status, 'final')
  })

  it('gives up after --timeout, with exit code 3 and one sentence', async () => {
    const [port] = await freePorts(1)
    const mute = createServer(() => undefined)
    const webpage = createServer((_request, response) => response.end('<html>'))
    try {
      for (const server of [mute, webpage]) await once(server.listen(0, '127.0.0.1'), 'listening')
      const urls = [mute, webpage].map(
        (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      )
      const cases: [string, RegExp][] = [
        [`http://127.0.0.1:${port}`, /cannot be reached: connect ECONNREFUSED/],
        [urls[0]!, /did not answer within/],
        [urls[1]!, /not one of a Quantum Audit Trail node/],
      ]
      const all = cases.map(async ([url, sentence]) => {
        const { code, stderr } = await qat(['log', ...WHAT, '--token', 't', '--timeout', '0.4', '--rpc', url])
        assert.equal(code, 3)
        assert.match(stderr, sentence)
        assert.match(stderr, /^qat: [^\n]+\n$/)
      })
      await Promise.all(all)
    } finally {
      for (const server of [mute, webpage]) {
        server.closeAllConnections()
        server.close()
      }
    }
  })

  it('refuses input that is no event before it speaks to anyone', async () => {
    const cases: [string[], RegExp, number][] = [
      [['--data', 'plain text'], /--data takes JSON/, 2],
      [['--data', '@/nowhere.json'], /\/nowhere\.json could not be read: there is no such file/, 1],
      [['--data', '-'], /standard input is not usable: [^\n]*stands twice/, 1],
      [['--key', '/nowhere.key'], /\/nowhere\.key could not be read/, 1],
      [['--data', `"${'x'.repeat(70_000)}"`], /65535 bytes|--data takes JSON/, 2],
    ]
    const all = cases.map(async ([args, sentence, exit]) => {
      const { code, stderr } = await qat(['log', ...WHAT, '--token', 't', ...args], {
        stdin: '{"a":1,"a":2}',
      })
      assert.match(stderr, sentence)
      assert.equal(code, exit)
    })
    await Promise.all(all)
  })
})
