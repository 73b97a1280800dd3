/** What the ledger takes is taken by the official SDK of CloudEvents as well; it once refused whole batches for one event. */
import assert from 'node:assert/strict'
import { CloudEvent, HTTP } from 'cloudevents'
import fc from 'fast-check'
import type { JsonObject } from '../../src/json.ts'
import { readEvent } from '../../src/ledger/event.ts'
import { isUri, isUriReference } from '../../src/ledger/uri.ts'
import { EVENT, verdictOn } from './fixture.ts'

const bySdk = (event: JsonObject): boolean => {
  try {
    return new CloudEvent(event, true).validate()
  } catch {
    return false
  }
}

const TAKEN = [
  'https://github.com/cloudevents',
  'mailto:cncf-wg-serverless@lists.cncf.io',
  'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
  'cloudevents/spec/pull/123',
  '/sensors/tn-1234567/alerts',
  '1-555-123-4567',
  '//ci',
  'http://[::1]:8080/a',
  'http://[2001:db8::7:192.0.2.1]/',
  'http://[v1.a:b]/',
  'http://user:pa%20ss@host:/p?q=a?b/c#f?',
  'file:///etc/x',
  '../a;b=c,d',
  '%C3%BC',
  '?q',
  '#f',
  'a/b:c',
]
const REFUSED = [
  'a b',
  'ü',
  'http://[bad',
  'http://[::1',
  'http://[1::2::3]/',
  'http://[12345::]/',
  'http://[1:2:3:4:5:6:7]/',
  'http://[1:2:3:4:5:6:7:8:9]/',
  'http://[::1.2.3.256]/',
  'http://[::1%25eth0]/',
  'http://a b/',
  'a%2',
  'a%zz',
  'a\\b',
  '<x>',
  'a{b}',
  'a|b',
  'a^b',
  'a`b',
  'a#b#c',
]

describe('events for the official SDK', () => {
  it('have a source that it takes', () => {
    for (const source of TAKEN) {
      assert.ok(readEvent({ ...EVENT, source }), source)
      assert.ok(bySdk({ ...EVENT, source }), source)
    }
    for (const source of REFUSED) {
      assert.throws(() => readEvent({ ...EVENT, source }), { code: 'bad-event' }, source)
      assert.ok(!bySdk({ ...EVENT, source }), source)
    }
    // RFC 3986 refuses these, and so do SDKs in other languages.
    for (const source of ['12:34', 'my_app:x', ':a', 'a"b']) assert.ok(!isUriReference(source), source)
  })

  it('have a dataschema with a scheme', () => {
    for (const dataschema of TAKEN) {
      const taken = verdictOn(() => readEvent({ ...EVENT, dataschema })) !== undefined
      assert.equal(taken, isUri(dataschema))
      assert.ok(!taken || bySdk({ ...EVENT, dataschema }), dataschema)
    }
    for (const dataschema of ['not a uri', '/relative', 'schema.json', 'http://[bad'])
      assert.throws(() => readEvent({ ...EVENT, dataschema }), { code: 'bad-event' })
  })

  it('are taken by it whatever their source, schema and time, and read back from a batch', () => {
    const unit = fc.constantFrom(
      ...'aZ09:/?#[]@!$&\'()*+,;=%-._~ "<>\\^`{|}ü',
      '::',
      '%41',
      '[::1]',
      'http://',
    )
    const uri = fc.string({ unit, minLength: 1, maxLength: 12 })
    let taken = 0
    fc.assert(
      fc.property(uri, uri, (source, dataschema) => {
        const event = { ...EVENT, source, ...(isUri(dataschema) && { dataschema }) }
        if (verdictOn(() => readEvent(event)) === undefined) return
        taken++
        assert.ok(bySdk(event), JSON.stringify(event))
      }),
      { numRuns: 5_000 },
    )
    assert.ok(taken > 200, `${taken}`)
    const body = JSON.stringify(TAKEN.map((source, i) => ({ ...EVENT, id: `${i}`, source })))
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    assert.equal([HTTP.toEvent({ headers, body })].flat().length, TAKEN.length)
  })
})
