/** What the benches count by: loops, percentiles, the client, and the page that results end on. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { measureEtcd, measureHypercoreHere } from '../../scripts/bench/beside.ts'
import { outcomeOf } from '../../scripts/bench/cluster.ts'
import { percentile, spread } from '../../scripts/bench/figures.ts'
import { loadHypercore } from '../../scripts/bench/hypercore.ts'
import { bodyOf, LeanConnection, LeanPool, preparePost } from '../../scripts/bench/lean-http.ts'
import { closedLoop, type Outcome, openLoop } from '../../scripts/bench/load.ts'
import { metricIn } from '../../scripts/bench/meters.ts'
import { readOptions } from '../../scripts/bench/options.ts'
import { markdownTable, page, type Result, writeResult } from '../../scripts/bench/result.ts'
import { fits } from '../../scripts/bench/workload.ts'
import { OptionsError } from '../../scripts/support/command-line.ts'

const silent = { update: () => {}, done: () => {} }

describe('the percentiles of a bench', () => {
  it('are values that were measured', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    const { count, p50, p99, max } = spread(hundred)
    assert.deepEqual({ count, p50, p99, max }, { count: 100, p50: 51, p99: 100, max: 100 })
    assert.equal(percentile([7], 0.99), 7)
    assert.ok(Number.isNaN(percentile([], 0.5)))
  })
})

describe('a closed loop', () => {
  it('keeps every client busy with one call, and ends with the last of them', async () => {
    let underWay = 0
    let most = 0
    const send = async (): Promise<Outcome> => {
      most = Math.max(most, ++underWay)
      await sleep(2)
      underWay--
      return 'done'
    }
    const result = await closedLoop({ clients: 4, calls: 40, rampSeconds: 0, seconds: 60, send })
    assert.deepEqual([most, result.total], [4, 40])
    assert.ok(result.seconds < 10, 'the measured time ends when there is nothing more to send')
  })

  it('counts the measured time alone, and between reading the counters', async () => {
    const steps: string[] = []
    const meter = { begin: async () => void steps.push('begin'), end: async () => void steps.push('end') }
    const send = async (): Promise<Outcome> => {
      await sleep(5)
      return 'done'
    }
    const calls = Number.POSITIVE_INFINITY
    const result = await closedLoop({ clients: 1, calls, rampSeconds: 0.1, seconds: 0.1, send, meter })
    assert.deepEqual(steps, ['begin', 'end'])
    assert.ok(result.done < result.total, `${result.done} of ${result.total}`)
    assert.ok(Math.abs(result.perS - result.done / result.seconds) < 1e-9)
  })

  it('tells what was refused with a time from what failed', async () => {
    const outcomes: Outcome[] = ['done', 'later', { failed: 'no' }]
    const send = async (number: number): Promise<Outcome> => {
      const outcome = outcomes[number % 4]
      if (outcome === undefined) throw new Error('gone')
      return outcome
    }
    const { total, later, failed, why } = await closedLoop({
      clients: 1,
      calls: 8,
      rampSeconds: 0,
      seconds: 60,
      send,
    })
    assert.deepEqual([total, later, failed], [2, 2, 4])
    assert.deepEqual(why, new Map([['no', 2]]).set('gone', 2))
  })
})

describe('an open loop', () => {
  it('sends at its rate whatever the answers do, and counts a stall for every call that was due in it', async () => {
    // One server, which stands still for the first 200 ms and then answers at once.
    const openMs = performance.now() + 200
    const send = async (): Promise<Outcome> => {
      await sleep(Math.max(0, openMs - performance.now()))
      return 'done'
    }
    const { total, latencyMs } = await openLoop({ perS: 200, calls: 60, rampSeconds: 0, send })
    assert.equal(total, 60)
    assert.ok(latencyMs.p50 > 50, `half of the calls were due in the stall: p50 ${latencyMs.p50} ms`)
    assert.ok(latencyMs.max >= 190)
  })

  it('counts from when a call was due, not from when a busy client sent it', async () => {
    let first = true
    const send = async (): Promise<Outcome> => {
      const untilMs = performance.now() + 100
      if (first) while (performance.now() < untilMs);
      first = false
      return 'done'
    }
    const { latencyMs, clientLateMs } = await openLoop({ perS: 1_000, calls: 50, rampSeconds: 0, send })
    assert.ok(latencyMs.p50 > 50, `p50 ${latencyMs.p50} ms`)
    assert.ok(clientLateMs > 50)
  })

  it('waits for answers that come after the last call was sent', async () => {
    const send = async (): Promise<Outcome> => {
      await sleep(100)
      return 'done'
    }
    const { total, latencyMs } = await openLoop({ perS: 1_000, calls: 10, rampSeconds: 0, send })
    assert.deepEqual([total, latencyMs.count], [10, 10])
  })
})

describe('the client of the benches', () => {
  let server: Server
  let url: string
  const seen: string[] = []
  before(async () => {
    server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        seen.push(`${request.method} ${request.url} ${body}`)
        if (body === '"close"') request.socket.destroy()
        else response.end(`answer to ${body}`)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('makes one call after the other over one connection', async () => {
    const connection = new LeanConnection(url)
    assert.equal(await connection.call(preparePost('/rpc', '"ä"')), 'answer to "ä"')
    assert.equal(await connection.call(preparePost('/rpc', '2')), 'answer to 2')
    assert.deepEqual(seen.splice(0), ['POST /rpc "ä"', 'POST /rpc 2'])
    connection.close()
  })

  it('fails a call whose connection is closed, and connects anew for the next', async () => {
    const connection = new LeanConnection(url)
    await assert.rejects(connection.call(preparePost('/', '"close"')))
    assert.equal(await connection.call(preparePost('/', '3')), 'answer to 3')
    connection.close()
  })

  it('lets calls beyond its connections wait', async () => {
    const pool = new LeanPool([url], 2)
    const calls = Array.from({ length: 20 }, (_, i) => pool.call(preparePost('/', `${i}`)))
    assert.deepEqual(
      await Promise.all(calls),
      calls.map((_, i) => `answer to ${i}`),
    )
    pool.close()
  })

  it('reads an answer that comes in pieces', () => {
    const whole = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
    for (let cut = 0; cut < whole.length; cut++) assert.equal(bodyOf(whole.subarray(0, cut)), undefined)
    assert.equal(bodyOf(whole), 'hello')
    assert.ok(bodyOf(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')) instanceof Error)
  })

  it('takes a refusal with a time for back-pressure, and nothing else', () => {
    assert.equal(outcomeOf('{"result":{"id":"a","status":"final"}}'), 'done')
    assert.equal(outcomeOf('{"error":{"message":"full","data":{"retryAfterMs":9}}}'), 'later')
    assert.deepEqual(outcomeOf('{"error":{"message":"bad","data":{}}}'), { failed: 'bad' })
    assert.deepEqual(outcomeOf('{"result":{"id":"a","status":"pending"}}'), { failed: 'stayed pending' })
  })
})

describe('what is measured beside the ledger', () => {
  it('is left out where it is not installed', async () => {
    const path = process.env.PATH
    process.env.PATH = ''
    try {
      const { figures, tables } = await measureEtcd(silent, tmpdir(), 0, 1, 4, () => {})
      assert.equal(figures.etcdPutsPerS, null)
      assert.equal(figures.etcdP50Ms, null)
      assert.equal(tables, undefined)
    } finally {
      process.env.PATH = path
    }
    assert.equal(await loadHypercore('a-package-that-nobody-has'), undefined)
    const { figures } = await measureHypercoreHere(silent, tmpdir(), 1, 'a-package-that-nobody-has')
    assert.deepEqual(figures, { hypercoreAppendsPerS: null })
  })
})

describe('the workloads', () => {
  it('are those that fit into an entry', async () => {
    assert.equal(await fits({ events: 32, dataBytes: 1_024 }), true)
    assert.equal(await fits({ events: 64, dataBytes: 1_024 }), false)
  })
})

describe('the command line of the bench', () => {
  it('takes parts by name', () => {
    assert.deepEqual([...readOptions(['--only', 'limits,closed']).parts], ['limits', 'closed'])
    assert.equal(readOptions([]).parts.size, 9)
    assert.deepEqual([readOptions([]).nodes, readOptions(['--nodes', '7']).nodes], [4, 7])
    for (const wrong of [
      ['--only', 'all'],
      ['--clients', '0'],
      ['--clients', 'x'],
      ['--nodes', '0'],
      ['--fast'],
    ]) {
      assert.throws(() => readOptions(wrong), OptionsError)
    }
  })
})

describe('a result', () => {
  const result: Result = {
    name: 'bench',
    command: 'npm run bench',
    date: '2026-01-31T12:00:00.000Z',
    machine: { cpu: 'a CPU', cores: 2, memoryGiB: 24, system: 'linux 6', fileSystem: 'ext4' },
    versions: { node: '24.0.0', etcd: '3.4.23' },
    figures: { perS: 12_345.678, etcdPutsPerS: null },
    tables: [{ title: 'By node', columns: ['node', 'ms'], rows: [['alpha', 0.25]], note: 'A note.' }],
  }

  it('reads as a table', () => {
    const text = markdownTable({
      title: 'T',
      columns: ['a', 'wide'],
      rows: [
        ['x', null],
        [1_000_000, 0.5],
      ],
    })
    assert.equal(
      text,
      [
        '### T',
        '',
        '| a         | wide |',
        '| --------- | ---- |',
        '| x         | -    |',
        '| 1,000,000 | 0.5  |',
      ].join('\n'),
    )
  })

  it('says where, when and with what it was measured', () => {
    const text = page([result])
    for (const part of [
      '`npm run bench`',
      '2026-01-31',
      'a CPU, 2 cores',
      'etcd 3.4.23',
      '12,345.678',
      'A note.',
    ]) {
      assert.ok(text.includes(part), part)
    }
  })

  it('stands on one page with those measured before', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'qat-test-'))
    try {
      await writeResult(dir, { ...result, name: 'bench-growth', command: 'npm run bench:growth' })
      await writeResult(dir, result)
      assert.deepEqual(JSON.parse(await readFile(join(dir, 'bench.json'), 'utf8')), result)
      const text = await readFile(join(dir, 'README.md'), 'utf8')
      assert.ok(text.indexOf('`npm run bench`') < text.indexOf('`npm run bench:growth`'))
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})

describe('the metrics of a node', () => {
  it('are found by name', () => {
    const text = '# HELP qat_sent Sent\nqat_sent_total{node="a"} 1\nqat_sent{node="a",ledger="b"} 4.5\n'
    assert.equal(metricIn(text, 'sent'), 4.5)
    assert.ok(Number.isNaN(metricIn(text, 'received')))
  })
})
