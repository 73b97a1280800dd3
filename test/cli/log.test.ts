/** `qat log` against a real JSON-RPC server with a ledger behind it that only remembers what it was asked. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { signForPrincipal } from '../../node/core/gateway.ts'
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
    const [event, ...others] = eventsOf(server)
    assert.equal(others.length, 0)
    // The node fills in the time: what nobody gave must not differ when the command is repeated.
    const { id, ...rest } = event!
    assert.match(String(id), UUID)
    assert.equal(stdout, `Entry   ${HASH}\nEvent   ${id}\nStatus  final\nIndex   7\nBlock   2\n`)
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
      const events = [{ source: '//ci', id: 'run-1' }]
      assert.deepEqual(json(), [{ id: HASH, status: 'final', index: 7, height: 2, events }])
      const [event] = eventsOf(server)
      assert.deepEqual(
        [event?.id, event?.time, event?.data],
        ['run-1', '2026-01-01T00:00:00+01:00', expected],
      )
    }
  })

  it('sends and signs numbers as they are spelled, from wherever they come', async () => {
    const data = '{"run":12345678901234567890,"z":-0,"p":1.10}'
    await writeFile(path('numbers.json'), data)
    const line = `{"subject":"a","data":${data}}\n`
    const sources: string[][] = [
      ['--subject', 'a', '--data', data],
      ['--subject', 'a', '--data', `@${path('numbers.json')}`],
      ['--batch', '-'],
    ]
    for (const source of sources) {
      const server = await serve()
      const args = ['log', ...WHAT.slice(0, 4), ...source, '--rpc', server.url]
      assert.equal((await qat([...args, '--token', TOKEN], { stdin: line })).code, 0)
      assert.equal(JSON.stringify(eventsOf(server)[0]?.data), data)
      assert.equal((await qat([...args, '--key', path('team.key')], { stdin: line })).code, 0)
      assert.ok(fromUtf8(entryOf(server).envelope.payload).includes(`"data":${data}`))
    }
    const { code, stderr } = await qat(['log', ...WHAT, '--token', TOKEN, '--data', '{"a":1e400}'])
    assert.equal(code, 2)
    assert.match(stderr, /--data is not usable: The number 1e400 \(line 1, column 6\)/)
  })

  it('says which id was sent where there is no answer, and on Ctrl-C', async () => {
    const waits = async (): Promise<Submission> => new Promise(() => undefined)
    const server = await serve({ submitEvents: waits, submit: waits })
    const idOf = () => (eventsOf(server)?.[0] ?? payloadOf(entryOf(server))).id
    for (const [options, given] of [
      [['--token', TOKEN], false],
      [['--token', TOKEN, '--id', 'run-1'], true],
      [['--key', path('team.key')], false],
    ] as const) {
      server.service.asked.length = 0
      const args = ['log', ...WHAT, '--rpc', server.url, ...options]
      const interrupt = async (child: ChildProcess) => {
        for (let i = 0; i < 200 && !server.service.asked.some(([name]) => name.startsWith('submit')); i++)
          await sleep(50)
        child.kill('SIGINT')
      }
      const ended = await qat(args, { during: (child) => void interrupt(child) })
      assert.match(
        ended.stderr,
        given ? /^qat: Interrupted\. .*Run the command again: what has an id/ : /--id [0-9a-f-]{36}\n$/,
      )
      assert.deepEqual([ended.code, ended.signal], [null, 'SIGINT'])
      if (!given) assert.ok(ended.stderr.includes(`--id ${idOf()}\n`))
      if (options[0] === '--key') assert.ok(ended.stderr.includes(entryOf(server).id))
    }
    const pending = await serve({ submitEvents: async () => ({ id: HASH, status: 'pending' }) })
    const late = ['log', ...WHAT, '--token', TOKEN, '--timeout', '0.3', '--rpc', pending.url]
    const { code, stderr } = await qat(late)
    assert.equal(code, 3)
    assert.ok(stderr.endsWith(`--id ${eventsOf(pending)[0]?.id}\n`), stderr)
    const [error] = (await qat([...late, '--json'])).json()
    assert.equal((error as { error: { facts: { events: unknown[] } } }).error.facts.events.length, 1)
  })

  it('splits a batch that is larger than an entry, the same way each time', async () => {
    const batch = Array.from({ length: 700 }, (_, i) => ({ id: `${i}`, subject: 's', data: 'x'.repeat(200) }))
    const args = ['log', '--source', '//ci', '--type', 'ci.build', '--batch', '-', '--token', TOKEN, '--json']
    const sizes: number[][] = []
    for (let i = 0; i < 2; i++) {
      const server = await serve()
      const { code, json } = await qat([...args, '--rpc', server.url], { stdin: JSON.stringify(batch) })
      assert.equal(code, 0)
      const sent = server.service.asked.map(([, events]) => events as JsonObject[])
      assert.deepEqual(
        sent.flat().map(({ id }) => id),
        batch.map(({ id }) => id),
      )
      assert.deepEqual(
        json().flatMap(({ events }) => (events as JsonObject[]).map(({ id }) => id)),
        batch.map(({ id }) => id),
      )
      sizes.push(sent.map(({ length }) => length))
      for (const events of sent) {
        const signer = opensslSuite.signer('ML-DSA-65', SEED)
        const principal = { name: 'n'.repeat(64), sources: ['*'], types: ['*'] }
        assert.ok(await signForPrincipal(events, principal, 'l'.repeat(191), Date.now(), signer))
      }
    }
    assert.ok(sizes[0]!.length > 3)
    assert.deepEqual(sizes[0], sizes[1])
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

  const batchTo = (url: string, ...file: string[]) => {
    const what = ['--source', '//ci', '--type', 'ci.build']
    return ['log', ...what, '--token', TOKEN, '--rpc', url, '--batch', ...file]
  }

  it('reads what Windows writes where it can, and says what it is where it cannot', async () => {
    const server = await serve()
    const args = batchTo(server.url)
    await writeFile(path('bom.json'), '\ufeff{"subject":"a","id":"1"}\r\n{"subject":"b","id":"2"}\r\n')
    assert.equal((await qat([...args, path('bom.json')])).code, 0)
    assert.deepEqual(
      eventsOf(server).map(({ id }) => id),
      ['1', '2'],
    )
    for (const [name, text] of [
      ['marked.json', '\ufeff{"subject":"a"}'],
      ['unmarked.json', '{"subject":"a"}'],
    ] as const) {
      await writeFile(path(name), Buffer.from(text, 'utf16le'))
      const { code, stderr } = await qat([...args, path(name)])
      assert.equal(code, 5)
      assert.match(stderr, /json is not usable: It is in UTF-16\. Save it as UTF-8\./)
    }
  })

  it('takes one event over several lines as a batch, and names the line and the event that are wrong', async () => {
    const server = await serve()
    const args = batchTo(server.url, '-')
    const pretty = JSON.stringify({ subject: 'a', id: '1' }, undefined, 2)
    assert.equal((await qat(args, { stdin: pretty })).code, 0)
    assert.deepEqual(
      eventsOf(server).map(({ id }) => id),
      ['1'],
    )
    const cases: [string, RegExp][] = [
      [
        '{"subject":"a"}\n\n{"subject":}\n',
        /Line 3: It is no JSON from here on: column 12: "}" is not expected\./,
      ],
      ['[\n  {"subject":"a"},\n]', /from here on: line 3, column 1: "\]" is not expected/],
      [`${pretty}\n${pretty}`, /from here on: line 5, column 1: "\{" is not expected\. A batch is/],
      ['{"subject":"a"}\n{"subject":1}\n', /Event 2 of it: /],
      ['{"subject":"a","subject":"b"}', /"subject" stands twice/],
    ]
    for (const [stdin, sentence] of cases) {
      const { code, stderr } = await qat(args, { stdin })
      assert.equal(code, 5)
      assert.match(stderr, sentence)
    }
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

  it('says what to do with what is too large, or of another version, before it speaks to anyone', async () => {
    const statement = (subjects: number, padding = '', version = 'v1') =>
      JSON.stringify({
        _type: `https://in-toto.io/Statement/${version}`,
        predicateType: 'https://slsa.dev/provenance/v1',
        subject: Array.from({ length: subjects }, (_, i) => ({ name: `s${i}`, digest: { sha256: 'ab' } })),
        predicate: { padding },
      })
    const large = statement(1, 'x'.repeat(70_000))
    const digest = createHash('sha256').update(large).digest('hex')
    const inToto = ['--in-toto', '-', '--key', path('team.key')]
    const batch = ['--source', '//ci', '--type', 't', '--batch', '-', '--token', TOKEN]
    const cases: [string[], string, RegExp][] = [
      [inToto, large, new RegExp(`an entry holds about 45,000. Keep it, .*"sha256":"${digest}"`)],
      [[...WHAT, '--data', '-', '--token', TOKEN], large, new RegExp(`"sha256":"${digest}"`)],
      [
        inToto,
        statement(1, 'x'.repeat(50_000)),
        /The signed entry has \d+ bytes.*Log large evidence by its SHA-256/,
      ],
      [inToto, statement(600), /names 600 subjects, and an entry at most 512\. Sign several statements/],
      [
        inToto,
        statement(1, '', 'v0.1'),
        /version 0\.1; entries hold version 1: .*log it as the data of an event/,
      ],
      [batch, `{"subject":"a","id":"big","data":"${'x'.repeat(50_000)}"}`, /Event "big" has 50\d+ bytes/],
    ]
    const all = cases.map(async ([args, stdin, sentence]) => {
      const { code, stderr } = await qat(['log', ...args, '--rpc', 'http://127.0.0.1:1'], { stdin })
      assert.match(stderr, sentence)
      assert.equal(code, 5, stderr)
    })
    await Promise.all(all)
  })

  it('says what is recorded of a batch that breaks off, and with which ids', async () => {
    let calls = 0
    const submitEvents = async (): Promise<Submission> => {
      if (++calls === 3) throw new RefusedError('not-permitted', 'This token may not.')
      return { id: HASH, status: 'final' }
    }
    const server = await serve({ submitEvents })
    const batch = Array.from({ length: 4 }, () => ({ subject: 's', data: 'x'.repeat(30_000) }))
    const args = [
      'log',
      '--source',
      '//ci',
      '--type',
      't',
      '--batch',
      '-',
      '--token',
      TOKEN,
      '--rpc',
      server.url,
    ]
    const { code, stderr } = await qat(args, { stdin: JSON.stringify(batch) })
    assert.equal(code, 1)
    const sent = server.service.asked.map(([, events]) => String((events as JsonObject[])[0]?.id))
    assert.match(stderr, /This token may not\. 2 entries of the batch before it are recorded\./)
    assert.match(stderr, new RegExp(`sent with these, in their order: ${sent.join(' ')} [0-9a-f-]{36}\n`))
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
      [['--data', 'plain text'], /--data takes JSON.*line 1, column 1: "p" is not expected/, 2],
      [['--data', '@/nowhere.json'], /\/nowhere\.json could not be read: there is no such file/, 5],
      [['--data', '-'], /standard input is not usable: [^\n]*stands twice/, 5],
      [['--key', '/nowhere.key'], /\/nowhere\.key could not be read/, 5],
      [
        ['--data', `"${'x'.repeat(70_000)}"`],
        /--data has 70002 bytes[^\n]*log its digest as an event: --data '\{"sha256":"[0-9a-f]{64}"\}'/,
        2,
      ],
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
