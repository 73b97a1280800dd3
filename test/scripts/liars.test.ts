/** What a run with a liar is judged by: each kind of damage must be seen, and nothing else. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { audit } from '../../scripts/chaos/audit.ts'
import { Availability } from '../../scripts/chaos/availability.ts'
import { Book } from '../../scripts/chaos/book.ts'
import { ACTS } from '../../scripts/liars/acts/all.ts'
import { untilServed } from '../../scripts/liars/aftermath.ts'
import {
  accusationsOf,
  accusedIn,
  blamedIn,
  type Counts,
  faultsOf,
  isServed,
  RSS_MIB_MAX,
  splitsOf,
  UNAVAILABLE_MS_MAX,
  WAIT_MS_MAX,
} from '../../scripts/liars/judge.ts'
import { readOptions } from '../../scripts/liars/options.ts'
import { OptionsError } from '../../scripts/support/command-line.ts'
import { utf8 } from '../../src/bytes.ts'
import type { JsonObject } from '../../src/json.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { evidenceEvent } from '../../src/ledger/evidence-event.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { exampleTwoSeals } from '../ledger/evidence-fixture.ts'
import { ADA, exampleGenesis, LEDGER, submitterSigner, TIME, validatorOf } from '../ledger/fixture.ts'

const WELL: Counts = {
  byAct: { 'two-votes': 1, garbage: 3 },
  splits: 0,
  ended: 0,
  framed: 0,
  named: ['delta'],
  blamed: 0,
  lost: 0,
  refused: 0,
  neverFinal: 0,
  longestUnavailableMs: UNAVAILABLE_MS_MAX,
  longestWaitMs: WAIT_MS_MAX,
  rssMaxMiB: RSS_MIB_MAX,
}

describe('the verdict on a run with a liar', () => {
  it('is clean only if nothing happened to anybody', () => {
    assert.deepEqual(faultsOf(WELL, 'delta', ACTS), [])
    const damage: Partial<Counts>[] = [
      { splits: 1 },
      { ended: 1 },
      { framed: 1 },
      { blamed: 1 },
      { lost: 1 },
      { refused: 1 },
      { neverFinal: 1 },
      { longestUnavailableMs: UNAVAILABLE_MS_MAX + 1 },
      { longestWaitMs: WAIT_MS_MAX + 1 },
      { rssMaxMiB: RSS_MIB_MAX + 1 },
    ]
    for (const each of damage) {
      assert.equal(faultsOf({ ...WELL, ...each }, 'delta', ACTS).length, 1, JSON.stringify(each))
    }
  })

  it('asks for the name of the liar if an act was told that leaves two signatures, and only then', () => {
    assert.match(faultsOf({ ...WELL, named: [] }, 'delta', ACTS).join(), /no evidence names delta.*two-votes/)
    assert.equal(faultsOf({ ...WELL, named: ['alpha'] }, 'delta', ACTS).length, 1)
    assert.deepEqual(faultsOf({ ...WELL, named: [], byAct: { garbage: 1 } }, 'delta', ACTS), [])
  })

  it('counts the heights at which honest nodes have different blocks', () => {
    assert.deepEqual(splitsOf([]), [])
    assert.deepEqual(splitsOf([['a', 'b', 'c'], ['a', 'b'], ['a']]), [])
    assert.deepEqual(splitsOf([['a', 'b', 'c'], ['a', 'x', 'c'], ['a']]), [1])
    assert.deepEqual(splitsOf([['a', undefined, 'c'], ['a', 'b', 'x'], ['y']]), [0, 2])
  })

  it('finds connections that honest nodes closed to each other', () => {
    const line = (peer: string, times?: number) =>
      JSON.stringify({
        level: 40,
        peer,
        times,
        msg: 'closed the connection of a peer that broke the protocol',
      })
    const log = ['alpha answers at http://127.0.0.1.', line('delta'), line('bravo'), line('alpha', 5)].join(
      '\n',
    )
    assert.equal(blamedIn(log, ['alpha', 'bravo']), 6)
    assert.equal(blamedIn(log, ['charlie']), 0)
    assert.equal(blamedIn(JSON.stringify({ peer: 'alpha', msg: 'connecting anew' }), ['alpha']), 0)
  })
})

describe('an outage that goes on after the acts', () => {
  /** The last entry became final so long before the acts ended; how long each step then takes, and which one serves. */
  const outage = async (
    beforeMs: number,
    takes: Readonly<Record<'answersAgain' | 'drain' | 'served', number>>,
    serves?: keyof typeof takes,
  ) => {
    let now = 0
    const availability = new Availability(4, 3, () => now)
    availability.strike(['delta'])
    availability.begin()
    now += beforeMs
    const steps: string[] = []
    const step = (name: keyof typeof takes) => async (ms: number) => {
      steps.push(name)
      now += Math.min(ms, takes[name])
      if (name === serves) availability.final()
    }
    await untilServed({
      availability,
      answersAgain: step('answersAgain'),
      stopLoad: async () => steps.push('stopLoad'),
      drain: step('drain'),
      served: step('served'),
    })
    assert.deepEqual(steps, ['answersAgain', 'stopLoad', 'drain', 'served'])
    now += 500_000
    return availability.longest.ms
  }

  it('counts from when it began until a client is served again', async () => {
    const ms = await outage(28_034, { answersAgain: 90_000, drain: 59_000, served: 1_000 }, 'drain')
    assert.equal(ms, 28_034 + 30_000 + 59_000)
    const faults = faultsOf({ ...WELL, longestUnavailableMs: ms }, 'delta', ACTS)
    assert.match(faults.join(), /^nothing became final for 117034 ms/)
  })

  it('counts if nobody is ever served again', async () => {
    const never = Number.POSITIVE_INFINITY
    assert.ok((await outage(0, { answersAgain: never, drain: never, served: never })) >= 150_000)
  })

  it('counts what clients were told was taken and what does not become final', async () => {
    const ms = await outage(100, { answersAgain: 200, drain: 300, served: 45_000 }, 'answersAgain')
    assert.equal(ms, 45_300)
  })

  it('is none if clients are served at once', async () => {
    assert.equal(await outage(100, { answersAgain: 200, drain: 300, served: 1_000 }, 'answersAgain'), 1_300)
  })

  it('is over only when all that was taken is final', () => {
    const done = { pending: 0, size: 9, finalSize: 9 }
    assert.ok(isServed([done, undefined, { ...done, size: 8, finalSize: 7 }]))
    assert.ok(!isServed([]) && !isServed([undefined, undefined]))
    assert.ok(!isServed([done, { ...done, pending: 1 }]))
    assert.ok(!isServed([done, { ...done, size: 10 }]))
  })
})

describe('the book of what clients were told', () => {
  it('knows what was taken and never became final', () => {
    const book = new Book()
    const [unanswered, vanished, found, promised] = [
      book.submit(),
      book.submit(),
      book.submit(),
      book.submit(),
    ]
    for (const event of [vanished, found, promised]) book.admit(event)
    book.acknowledge(promised, 'ordered', 0, '07'.repeat(32))
    assert.ok(book.find(found, '08'.repeat(32)))
    assert.equal(book.vanished, 1)
    assert.deepEqual(
      [unanswered, vanished, found].map((event) => book.isFound(event)),
      [false, false, true],
    )
    assert.ok(!book.find(found, '09'.repeat(32)))
  })
})

describe('the evidence after a run with a liar', () => {
  const judge = async (liar: string, change = (piece: Piece): Piece | undefined => piece) => {
    const { membership } = await exampleGenesis()
    return accusationsOf(opensslSuite, [change(await exampleTwoSeals())], membership, liar)
  }
  type Piece = Awaited<ReturnType<typeof exampleTwoSeals>>

  it('names the liar', async () => {
    assert.deepEqual(await judge('ada'), { named: ['ada'], framed: 0 })
  })

  it('frames whoever else it names', async () => {
    assert.deepEqual(await judge('delta'), { named: ['ada'], framed: 1 })
  })

  it('counts a piece that does not hold, or cannot be read, as one that frames somebody', async () => {
    const halved = (piece: Piece): Piece => ({
      ...piece,
      statements: [piece.statements[0], piece.statements[0]],
    })
    assert.deepEqual(await judge('ada', halved), { named: [], framed: 1 })
    assert.deepEqual(await judge('ada', () => undefined), { named: [], framed: 1 })
  })

  it('believes an event in the ledger only if the evidence in it holds', async () => {
    const { membership } = await exampleGenesis()
    const piece = await exampleTwoSeals()
    const halved = { ...piece, statements: [piece.statements[0], piece.statements[0]] } as Piece
    const named = { reporter: 'bob', accused: 'bob', ledger: LEDGER, now: TIME }
    const entry = (event: JsonObject) => {
      return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), submitterSigner)
    }
    const nothing = { ...evidenceEvent(piece, named), data: { kind: 'two-seals' } }
    const events = [evidenceEvent(piece, named), evidenceEvent(halved, named), nothing]
    const entries = await Promise.all(events.map(entry))
    assert.deepEqual(await accusedIn(opensslSuite, entries, membership), ['ada'])
  })

  it('counts a piece against a key that no validator has', async () => {
    const others = { validators: [validatorOf('bob', 9)] }
    assert.notDeepEqual(others.validators[0]?.nodeKey, ADA.nodeKey)
    const judged = await accusationsOf(opensslSuite, [await exampleTwoSeals()], others, 'ada')
    assert.deepEqual(judged, { named: ['unknown'], framed: 1 })
  })
})

describe('the audit of what was acknowledged', () => {
  /** A node that answers each method with this, or with an error. */
  const auditing = async (answers: Record<string, object>) => {
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (part) => {
        body += part
      })
      request.on('end', () => {
        const { id, method } = JSON.parse(body)
        const result = answers[method]
        const error = { code: -32_001, message: 'There is no such entry.', data: { code: 'not-found' } }
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error }) }))
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const book = new Book()
    book.acknowledge(book.submit(), 'final', 0, '07'.repeat(32))
    try {
      const cluster = {
        names: ['alpha', 'bravo'],
        policy: '',
        url: () => `http://127.0.0.1:${port}`,
        statuses: async () => [{} as never, {} as never],
        until: async () => true,
      }
      return await audit(cluster, book, () => {})
    } finally {
      server.close()
      server.closeAllConnections()
    }
  }

  it('finds an entry lost that another node does not have', async () => {
    const { lost, unproved, proved } = await auditing({ 'entry.query': { entries: [] } })
    assert.deepEqual({ lost, unproved, proved }, { lost: 1, unproved: 0, proved: 0 })
  })

  it('does not believe a proof that does not hold', async () => {
    const bundle = { 'entry.query': { entries: [] }, 'entry.prove': { entry: '{}', proof: 'none' } }
    const { lost, unproved, proved } = await auditing(bundle)
    assert.deepEqual({ lost, unproved, proved }, { lost: 0, unproved: 1, proved: 0 })
  })
})

describe('the command line of npm run liars', () => {
  it('takes the acts by name', () => {
    assert.deepEqual(readOptions(['--act', 'garbage', '--act', 'flood', '--qkd']).acts, ['garbage', 'flood'])
    assert.equal(new Set(ACTS.map(({ name }) => name)).size, ACTS.length)
  })

  it('refuses what makes no sense', () => {
    for (const args of [
      ['--act', 'kindness'],
      ['--nodes', '3'],
      ['--seconds', 'long'],
      ['--kills', '3'],
    ]) {
      assert.throws(() => readOptions(args), OptionsError, args.join(' '))
    }
  })
})
