import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { toBase64, utf8 } from '../../src/bytes.ts'
import type { Json, JsonObject } from '../../src/json.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { defaultContentType, IN_TOTO_SOURCE, readClaims, readEvent } from '../../src/ledger/event.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { isTimestamp } from '../../src/ledger/timestamp.ts'
import { ATTRIBUTE_BYTES_MAX, BATCH_EVENTS_MAX, ENTRY_BYTES_MAX } from '../../src/limits.ts'
import { describeShared } from '../support/shared.ts'
import { EVENT, EVENT_BYTES, refused, submitterSigner, verdictOn } from './fixture.ts'

const claimsOf = (type: string, value: Json) => readClaims(type, utf8(JSON.stringify(value)))
const { event: ONE, batch: BATCH, inToto: IN_TOTO } = PAYLOAD_TYPES
const CLAIM = {
  id: EVENT.id,
  source: EVENT.source,
  type: EVENT.type,
  subject: EVENT.subject,
  time: EVENT.time,
}

/** EVENT with attributes changed; undefined takes one away. */
function eventWith(changes: Record<string, Json | undefined>): JsonObject {
  const event: JsonObject = { ...EVENT }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete event[name]
    else event[name] = value
  }
  return event
}

const refuse = (code: string, changes: Record<string, Json | undefined>) =>
  assert.throws(() => readEvent(eventWith(changes)), refused(code), JSON.stringify(changes).slice(0, 80))

describe('a CloudEvents event', () => {
  it('is reduced to its claims', () => {
    assert.deepEqual(readClaims(ONE, EVENT_BYTES), [CLAIM])
    assert.deepEqual(readEvent(eventWith({ ledger: 'audit.example/payments' })), {
      ...CLAIM,
      ledger: 'audit.example/payments',
    })
  })

  it('has every attribute that an audit record needs', () => {
    for (const name of ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype']) {
      refuse('missing-field', { [name]: undefined })
      refuse('missing-field', { [name]: null })
      for (const value of ['', 7, true, [], {}]) {
        assert.throws(
          () => readEvent(eventWith({ [name]: value })),
          { name: 'FormatError' },
          `${name}: ${value}`,
        )
      }
    }
    for (const specversion of ['0.3', '1.1', '1.0 ']) refuse('bad-event', { specversion })
  })

  it('has attribute names and values of the kinds that CloudEvents knows', () => {
    for (const value of ['x', true, false, 0, -0, 2 ** 31 - 1, -(2 ** 31)])
      assert.ok(readEvent(eventWith({ ext1: value })))
    assert.ok(readEvent(eventWith({ ext1: null, dataschema: null, ledger: null })))
    for (const value of [0.5, 2 ** 31, -(2 ** 31) - 1, [], {}, '', 'a\nb', 'a\u0085', '\uffff'])
      refuse('bad-field', { ext: value })
    for (const name of ['Ext', 'my-ext', 'my_ext', '', 'é', '__proto__x', 'a'.repeat(65)])
      refuse('unknown-field', { [name]: 'x' })
    assert.throws(
      () => readClaims(ONE, utf8(`{"__proto__":{"id":"1"},${JSON.stringify(EVENT).slice(1)}`)),
      refused('unknown-field'),
    )
    refuse('bad-field', { dataschema: true })
    refuse('bad-field', { ledger: false })
  })

  it('bounds its attributes in bytes', () => {
    assert.ok(readEvent(eventWith({ source: `/${'a'.repeat(ATTRIBUTE_BYTES_MAX - 1)}` })))
    refuse('bad-field', { source: `/${'a'.repeat(ATTRIBUTE_BYTES_MAX)}` })
    for (const name of ['id', 'type', 'subject', 'ext']) {
      assert.ok(readEvent(eventWith({ [name]: 'é'.repeat(ATTRIBUTE_BYTES_MAX / 2) })))
      refuse('bad-field', { [name]: `${'é'.repeat(ATTRIBUTE_BYTES_MAX / 2)}a` })
    }
  })

  it('carries any JSON as data, or base64, not both', () => {
    for (const data of [null, 0.5, 'a\nb', [[]], { Deep: { 'any name': -1e300 } }])
      assert.ok(readEvent(eventWith({ data })))
    assert.ok(readEvent(eventWith({ data: undefined })))
    const bytes = toBase64(Uint8Array.of(0, 255))
    assert.ok(readEvent(eventWith({ data: undefined, data_base64: bytes })))
    refuse('bad-event', { data_base64: bytes })
    refuse('bad-event', { data: undefined, data_base64: 5 })
    refuse('bad-base64', { data: undefined, data_base64: 'AP9=' })
  })

  it('has data of the type that it names', () => {
    const types = ['application/json', 'text/json', 'application/ld+json; charset=utf-8', 'Application/JSON']
    for (const datacontenttype of types) {
      for (const data of [{ a: 1 }, 1, 'text', null])
        assert.ok(readEvent(eventWith({ datacontenttype, data })))
    }
    for (const datacontenttype of ['text/plain', 'application/xml; a="b;\\"c"', 'image/svg+xml']) {
      for (const data of ['text', null, undefined]) assert.ok(readEvent(eventWith({ datacontenttype, data })))
      for (const data of [{ a: 1 }, [], 1, false]) refuse('bad-event', { datacontenttype, data })
    }
    const bytes = { data: undefined, data_base64: 'AP8=' }
    assert.ok(readEvent(eventWith({ datacontenttype: 'application/octet-stream', ...bytes })))
    for (const datacontenttype of [
      'json',
      'text/',
      '/plain',
      'a/b/c',
      'text/plain;charset',
      'a b/c',
      'text/plän',
    ])
      refuse('bad-event', { datacontenttype })
  })

  it('names JSON for data and bytes for base64, where its producer names no type', () => {
    assert.equal(defaultContentType({ data: 1 }), 'application/json')
    assert.equal(defaultContentType({ data_base64: 'AP8=' }), 'application/octet-stream')
  })

  it('is refused as JSON before it is read as an event', () => {
    const text = JSON.stringify(EVENT)
    const cases: [string, string][] = [
      [text.replace('{', '{"id":"other",'), 'json-duplicate-key'],
      [text.replace('{', '{"\\u0069d":"other",'), 'json-duplicate-key'],
      [`${text} x`, 'json-syntax'],
      [text.replace('"success"', '1e400'), 'bad-field'],
      [text.replace('success', '\\ud800'), 'bad-utf8'],
      [text.replace('"success"', `${'['.repeat(63)}${']'.repeat(63)}`), 'json-too-deep'],
      [text.replace('success', 'x'.repeat(ENTRY_BYTES_MAX)), 'too-large'],
      ['[]', 'bad-field'],
      ['null', 'bad-field'],
    ]
    for (const [changed, code] of cases)
      assert.throws(() => readClaims(ONE, utf8(changed)), refused(code), code)
  })
})

describe('the time of an event', () => {
  const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

  it('is RFC 3339', () => {
    for (const time of [
      '2026-01-31T12:00:00Z',
      '2026-01-31t12:00:00z',
      '2024-02-29T23:59:59.123456789+14:00',
      '2000-02-29T00:00:00-00:00',
      '0001-01-01T00:00:00Z',
      '9999-12-31T23:59:59-23:59',
    ]) {
      assert.ok(isTimestamp(time), time)
    }
    for (const time of [
      '2026-01-31',
      '2026-01-31T12:00Z',
      '2026-01-31T12:00:00',
      '2026-01-31 12:00:00Z',
      '2026-01-31T12:00:00.Z',
      '2026-01-31T12:00:00.1234567890Z',
      '2026-01-31T12:00:00,5Z',
      '2026-01-31T12:00:00+0100',
      '2026-01-31T12:00:00+24:00',
      '2026-01-31T12:00:00+01:60',
      '2026-01-31T24:00:00Z',
      '2026-01-31T12:60:00Z',
      '2016-12-31T23:59:60Z',
      '2026-00-31T12:00:00Z',
      '2026-13-31T12:00:00Z',
      '2026-01-00T12:00:00Z',
      '1900-02-29T12:00:00Z',
      '+12026-01-31T12:00:00Z',
      ' 2026-01-31T12:00:00Z',
      '2026-01-31T12:00:00Z\n',
      '２026-01-31T12:00:00Z',
      'Sat, 31 Jan 2026 12:00:00 GMT',
    ]) {
      assert.ok(!isTimestamp(time), time)
      if (time.trim() === time) refuse('bad-event', { time })
    }
  })

  it('names a day that its month has, where Date.parse may take any', () => {
    for (const year of [2024, 2025, 2100]) {
      for (let month = 1; month <= 12; month++) {
        const leap = month === 2 && year === 2024 ? 1 : 0
        for (let day = 0; day <= 32; day++) {
          const time = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}T00:00:00Z`
          assert.equal(isTimestamp(time), day >= 1 && day <= DAYS[month - 1]! + leap, time)
        }
      }
    }
  })

  it('takes every instant that Date can spell', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          assert.ok(isTimestamp(date.toISOString()))
        },
      ),
    )
  })
})

describe('a batch', () => {
  const events = (n: number) =>
    Array.from({ length: n }, (_, i) => eventWith({ id: `e${i}`, data: undefined }))

  it('is a list of events, each named once', () => {
    assert.deepEqual(
      claimsOf(BATCH, events(3)).map(({ id }) => id),
      ['e0', 'e1', 'e2'],
    )
    assert.equal(claimsOf(BATCH, [EVENT, eventWith({ source: '/ci/other' })]).length, 2)
    assert.throws(() => claimsOf(BATCH, [EVENT, EVENT]), refused('bad-event'))
    assert.throws(() => claimsOf(BATCH, []), refused('bad-field'))
    assert.throws(() => claimsOf(BATCH, EVENT), refused('bad-field'))
    assert.throws(() => claimsOf(BATCH, [EVENT, eventWith({ id: undefined })]), refused('missing-field'))
    assert.throws(() => claimsOf(BATCH, [[EVENT]]), refused('bad-field'))
  })

  it('is bounded in number', () => {
    const least = {
      ...eventWith({ data: undefined }),
      source: 's',
      type: 't',
      subject: 's',
      datacontenttype: 'd/e',
    }
    const small = (n: number) =>
      Array.from({ length: n }, (_, i) => ({ ...least, id: String(i), time: '2026-01-31T12:00:00Z' }))
    assert.equal(claimsOf(BATCH, small(BATCH_EVENTS_MAX)).length, BATCH_EVENTS_MAX)
    assert.throws(() => claimsOf(BATCH, small(BATCH_EVENTS_MAX + 1)), refused('bad-field'))
  })
})

describe('an in-toto statement', () => {
  const STATEMENT = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'payments', digest: { sha256: 'ab'.repeat(32) } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: { buildDefinition: {} },
  }

  it('claims each of its subjects', () => {
    const subject = [
      ...STATEMENT.subject,
      { digest: { sha512: 'cd', gitCommit: 'ef', 9: '00' } },
      { digest: { sha512: 'cd', gitCommit: 'ef' } },
    ]
    const claim = { source: IN_TOTO_SOURCE, type: STATEMENT.predicateType }
    assert.deepEqual(claimsOf(IN_TOTO, { ...STATEMENT, subject }), [
      { ...claim, subject: 'payments' },
      { ...claim, subject: '9:00' },
      { ...claim, subject: 'gitCommit:ef' },
    ])
  })

  it('is refused where it names nothing', () => {
    const { predicateType, ...untyped } = STATEMENT
    const digest = { sha256: 'ab' }
    const cases: [Json, string][] = [
      [{ ...STATEMENT, _type: 'https://in-toto.io/Statement/v0.1' }, 'bad-event'],
      [untyped, 'bad-field'],
      [{ ...untyped, predicateType: `${predicateType}\n` }, 'bad-field'],
      [{ ...STATEMENT, subject: [] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ name: 'x' }] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ name: 'x', digest: {} }] }, 'bad-event'],
      [{ ...STATEMENT, subject: [{ name: '', digest }] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ name: null, digest }] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ digest: { sha256: 5 } }] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ digest: { 'sha\n256': 'ab' } }] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ digest: { ['s'.repeat(65)]: 'ab' } }] }, 'bad-field'],
      [{ ...STATEMENT, subject: [{ digest: { sha256: 'a'.repeat(ATTRIBUTE_BYTES_MAX) } }] }, 'bad-field'],
      [
        { ...STATEMENT, subject: Array.from({ length: BATCH_EVENTS_MAX + 1 }, () => ({ digest })) },
        'bad-field',
      ],
      [[STATEMENT], 'bad-field'],
    ]
    for (const [value, code] of cases)
      assert.throws(() => claimsOf(IN_TOTO, value), refused(code), JSON.stringify(value).slice(0, 150))
  })
})

describe('a payload', () => {
  it('of the ledger itself is not for submitters, and of an unknown type for nobody', async () => {
    for (const type of [
      PAYLOAD_TYPES.seal,
      PAYLOAD_TYPES.genesis,
      PAYLOAD_TYPES.member,
      PAYLOAD_TYPES.status,
      PAYLOAD_TYPES.vote,
      PAYLOAD_TYPES.acknowledgement,
    ]) {
      assert.throws(() => readClaims(type, EVENT_BYTES), refused('reserved-payload-type'))
      await assert.rejects(signEntry(type, EVENT_BYTES, submitterSigner), refused('reserved-payload-type'))
    }
    for (const type of ['application/json', 'text/plain', 'constructor']) {
      assert.throws(() => readClaims(type, EVENT_BYTES), refused('unknown-payload-type'))
    }
  })

  it('is read with typed errors only, whatever it holds', () => {
    const near = fc.oneof(fc.jsonValue(), fc.constantFrom(...Object.values(EVENT)))
    const events = fc.record(Object.fromEntries(Object.keys(EVENT).map((name) => [name, near])), {
      requiredKeys: [],
    })
    fc.assert(
      fc.property(
        fc.constantFrom(ONE, BATCH, IN_TOTO),
        fc.oneof(events, fc.array(events, { maxLength: 3 }), fc.jsonValue()),
        (type, value) => {
          const claims = verdictOn(() => claimsOf(type, value as Json))
          assert.ok(claims === undefined || claims.length > 0)
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

describeShared('payloads', 'what real senders send', (folder) => {
  const read = (path: string) => JSON.parse(readFileSync(new URL(path, folder), 'utf8')) as JsonObject

  for (const name of readdirSync(new URL('cdevents/', folder))) {
    it(`CDEvents ${name} as the data of an event that copies its context`, async () => {
      const cdevent = read(`cdevents/${name}`)
      const { id, source, type, timestamp } = cdevent.context as Record<string, string>
      const subject = (cdevent.subject as { id: string }).id
      const event = {
        specversion: '1.0',
        id: id!,
        source: source!,
        type: type!,
        subject,
        time: timestamp!,
        datacontenttype: 'application/json',
        data: cdevent,
      }
      const { claims, bytes } = await signEntry(ONE, utf8(JSON.stringify(event)), submitterSigner)
      assert.deepEqual(claims, [{ id, source, type, subject, time: timestamp }])
      assert.ok(bytes.length <= ENTRY_BYTES_MAX)
    })
  }

  for (const path of [
    'github/push.json',
    'gitlab/pipeline.json',
    'jenkins/SYNTHETIC.notification-plugin.json',
    'cloudtrail/eventbridge.run-instances.json',
  ]) {
    it(`${path} as data`, () => {
      assert.deepEqual(claimsOf(ONE, eventWith({ data: read(path) })), [CLAIM])
    })
  }
})
