/** What the gateway signs for those who hold a token, and which submissions say the same as an earlier one. */
import assert from 'node:assert/strict'
import { sameEvents } from '../../node/core/admission.ts'
import { signForPrincipal } from '../../node/core/gateway.ts'
import { fromUtf8, utf8 } from '../../src/bytes.ts'
import { parseExactJson } from '../../src/exact-json.ts'
import { type JsonObject, object } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { blankSigner, EVENT, LEDGER, refused, submitterSigner, TIME } from '../ledger/fixture.ts'

const SIGNER = blankSigner(submitterSigner)
const ALL = { sources: ['*'], types: ['*'] }
const { time: _, ...BARE } = EVENT

const exactly = (text: string) => object(parseExactJson(text, 100_000), 'It')
const gateway = (events: JsonObject[], name = 'ci', now = TIME) =>
  signForPrincipal(events, { name, ...ALL }, LEDGER, now, SIGNER)
const signed = (event: JsonObject) => signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), SIGNER)
const eventOf = (entry: Entry) => JSON.parse(fromUtf8(entry.envelope.payload)) as JsonObject

describe('the gateway', () => {
  it('says what it has filled in, and lets no sender say so', async () => {
    const { time, ...filled } = eventOf(await gateway([BARE]))
    assert.equal(time, '2026-01-31T12:00:00.000Z')
    const added = {
      authtype: 'api_key',
      authid: 'ci',
      ledger: LEDGER,
      filledin: 'time authtype authid ledger',
    }
    assert.deepEqual(filled, { ...BARE, ...added })
    assert.equal((await gateway([BARE])).claims[0]?.timeFilledIn, true)
    assert.equal((await gateway([EVENT])).claims[0]?.timeFilledIn, undefined)
    assert.equal(eventOf(await gateway([EVENT])).filledin, 'authtype authid ledger')
    for (const name of ['filledin', 'authid', 'ledger']) {
      await assert.rejects(gateway([{ ...EVENT, [name]: 'x' }]), refused('bad-event'))
    }
  })

  it('signs numbers as they were spelled', async () => {
    const data = '{"run":12345678901234567890,"z":-0,"p":1.10}'
    const entry = await gateway([{ ...BARE, ...exactly(`{"data":${data}}`) }])
    assert.ok(fromUtf8(entry.envelope.payload).includes(`"data":${data}`))
  })
})

describe('events that are too large for the gateway to sign', () => {
  it('are refused with what to do', async () => {
    const large = { ...EVENT, data: 'x'.repeat(70_000) }
    const advice =
      /at most 65535 with its signature: about 45,000 of payload\. Log large evidence by its SHA-256/
    for (const data of [large.data, 'x'.repeat(50_000)])
      await assert.rejects(gateway([{ ...large, data }]), { code: 'too-large', message: advice })
    const many = Array.from({ length: 200 }, (_, i) => ({ ...EVENT, id: `${i}` }))
    await assert.rejects(gateway(many), { code: 'too-large', message: /Send fewer events at once/ })
  })
})

describe('an event that comes again', () => {
  const same = (again: Entry, recorded: Entry) =>
    assert.deepEqual(sameEvents(again, recorded), { outcome: 'duplicate', id: recorded.id })
  const conflict = (again: Entry, recorded: Entry, message: RegExp) =>
    assert.throws(() => sameEvents(again, recorded, 7), { code: 'event-conflict', message })

  it('is the same with another time, token or node filled in', async () => {
    same(await gateway([BARE], 'renamed', TIME + 60_000), await gateway([BARE]))
    same(await gateway([EVENT], 'other'), await gateway([EVENT]))
  })

  it('is the same however its numbers and members are spelled, and another if a digit differs', async () => {
    const text = JSON.stringify(BARE).replace('"success"', '{"run":12345678901234567890,"p":1.10}')
    const recorded = await gateway([exactly(text)])
    same(await gateway([exactly(text.replace('1.10', '11e-1'))]), recorded)
    const other = await gateway([exactly(text.replace('67890', '67891'))])
    conflict(other, recorded, /has event "build-42" of "\/ci\/payments" with other content/)
  })

  it('is another if its producer gives a time or a sender that the other did not', async () => {
    const recorded = await gateway([BARE])
    conflict(await gateway([EVENT]), recorded, /other content/)
    conflict(await signed({ ...EVENT, time: String(eventOf(recorded).time) }), recorded, /other content/)
    conflict(await signed({ ...EVENT, authid: 'ci' }), await gateway([EVENT]), /other content/)
    conflict(
      await signed({ ...EVENT, filledin: 'data' }),
      await signed({ ...EVENT, data: 1 }),
      /other content/,
    )
  })

  it('is the same alone as in a batch, where each event of the new entry is in the recorded one', async () => {
    const [one, two, three] = [
      { ...BARE, id: '1' },
      { ...BARE, id: '2' },
      { ...BARE, id: '3' },
    ] as const
    const recorded = await gateway([one, two])
    same(await gateway([two]), recorded)
    same(await gateway([two, one], 'other'), recorded)
    conflict(await gateway([two, three]), recorded, /some of these events, and 1 of them not/)
  })
})
