import { deepEqual, equal, throws } from 'node:assert/strict'
import fc from 'fast-check'
import type { Message } from '../../consensus/messages.ts'
import type { Block, BlockRef } from '../../consensus/types.ts'
import { decodeMessage, encodeMessage, MESSAGE_BYTES_MAX } from '../../consensus/wire.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'

const A = 'aa'.repeat(32)
const B = 'bb'.repeat(32)
const C = 'cc'.repeat(32)

const GOLDEN: readonly (readonly [Message, string])[] = [
  [
    { kind: 'pre-vote', term: 7, tail: { height: 5, term: 6 } },
    '0201 0000000000000007 0000000000000005 0000000000000006',
  ],
  [{ kind: 'pre-vote-reply', term: 7, granted: true }, '0202 0000000000000007 01'],
  [
    { kind: 'vote', term: 7, tail: { height: 5, term: 6 }, transfer: true },
    '0203 0000000000000007 0000000000000005 0000000000000006 01',
  ],
  [{ kind: 'vote-reply', term: 7, granted: false }, '0204 0000000000000007 00'],
  [
    {
      kind: 'append',
      term: 7,
      prev: { height: 1, term: 3, hash: A },
      blocks: [
        { height: 2, term: 4, hash: B, prev: A, body: fromHex('0102') },
        { height: 3, term: 7, hash: C, prev: B, body: new Uint8Array() },
      ],
      commit: 1,
    },
    `0205 0000000000000007 0000000000000001 0000000000000003 ${A} 0000000000000001 0002
     0000000000000004 ${B} 00000002 0102 0000000000000007 ${C} 00000000`,
  ],
  [{ kind: 'append-reply', term: 7, match: 2 ** 53 - 1 }, '0206 0000000000000007 001fffffffffffff'],
  [
    { kind: 'append-reject', term: 7, rejected: 9, hint: { height: 5, term: 6 } },
    '0207 0000000000000007 0000000000000009 0000000000000005 0000000000000006',
  ],
  [{ kind: 'heartbeat', term: 7, round: 3 }, '0208 0000000000000007 0000000000000003'],
  [
    { kind: 'heartbeat-reply', term: 7, commit: 4, round: 3 },
    '0209 0000000000000007 0000000000000004 0000000000000003',
  ],
  [{ kind: 'behind', term: 7, commit: 4 }, '020a 0000000000000007 0000000000000004'],
  [{ kind: 'timeout-now', term: 7 }, '020b 0000000000000007'],
]

const hex = (text: string) => fromHex(text.replace(/\s/g, ''))

const number = fc.oneof(fc.nat(5), fc.maxSafeNat())
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex)
/** Plain objects, as the decoder makes them. */
const record: typeof fc.record = (model: object) => fc.record(model, { noNullPrototype: true }) as never
const position = record({ height: number, term: number })
const append = fc
  .tuple(
    fc.nat(9),
    fc.nat(9),
    hash,
    fc.array(fc.tuple(fc.nat(3), hash, fc.uint8Array({ maxLength: 9 })), { maxLength: 5 }),
  )
  .map(([height, term, first, rest]): Message => {
    const prev = { height, term, hash: first }
    const blocks: Block[] = []
    let before: BlockRef = prev
    for (const [up, own, body] of rest) {
      const next = { height: before.height + 1, term: before.term + up, hash: own, prev: before.hash, body }
      blocks.push(next)
      before = next
    }
    return { kind: 'append', term: before.term + 1, prev, blocks, commit: height }
  })
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  append,
  record({ kind: fc.constant('pre-vote' as const), term: number, tail: position }),
  record({ kind: fc.constant('vote' as const), term: number, tail: position, transfer: fc.boolean() }),
  record({
    kind: fc.constantFrom('pre-vote-reply' as const, 'vote-reply' as const),
    term: number,
    granted: fc.boolean(),
  }),
  record({ kind: fc.constant('append-reply' as const), term: number, match: number }),
  record({ kind: fc.constant('append-reject' as const), term: number, rejected: number, hint: position }),
  record({ kind: fc.constant('heartbeat' as const), term: number, round: number }),
  record({ kind: fc.constant('heartbeat-reply' as const), term: number, commit: number, round: number }),
  record({ kind: fc.constant('behind' as const), term: number, commit: number }),
  record({ kind: fc.constant('timeout-now' as const), term: number }),
)

describe('messages on the wire', () => {
  for (const [message, golden] of GOLDEN) {
    it(`write ${message.kind} to its golden bytes and read it back`, () => {
      equal(toHex(encodeMessage(message)), toHex(hex(golden)))
      deepEqual(decodeMessage(hex(golden)), message)
    })

    it(`refuse ${message.kind} cut short anywhere, or with a byte too many`, () => {
      const bytes = hex(golden)
      for (let length = 0; length < bytes.length; length++) {
        throws(() => decodeMessage(bytes.subarray(0, length)), FormatError)
      }
      throws(() => decodeMessage(Uint8Array.of(...bytes, 0)), { code: 'trailing-bytes' })
    })
  }

  it('refuse unknown versions and kinds, second spellings and numbers out of range', () => {
    throws(() => decodeMessage(hex('0108 0000000000000007 0000000000000003')), { code: 'bad-field' })
    throws(() => decodeMessage(hex('0200 0000000000000007')), { code: 'bad-field' })
    throws(() => decodeMessage(hex('020c 0000000000000007')), { code: 'bad-field' })
    throws(() => decodeMessage(hex('0204 0000000000000007 02')), { code: 'bad-field' })
    throws(() => decodeMessage(hex('020b 0020000000000000')), { code: 'bad-integer' })
    throws(() => decodeMessage(hex('0208 0000000000000007 0020000000000000')), { code: 'bad-integer' })
    throws(() => encodeMessage({ kind: 'timeout-now', term: -1 }), { code: 'bad-integer' })
    throws(() => encodeMessage({ kind: 'timeout-now', term: 1.5 }), { code: 'bad-integer' })
  })

  it('refuse blocks that do not chain, more than allowed, or longer than there are bytes', () => {
    const [message, golden] = GOLDEN[4]!
    if (message.kind !== 'append') throw new Error('not the append')
    throws(() => encodeMessage({ ...message, blocks: message.blocks.slice(1) }), { code: 'bad-block' })
    throws(() => encodeMessage({ ...message, term: 6 }), { code: 'bad-block' })
    throws(() => decodeMessage(hex(golden.replace('0000000000000004', '0000000000000002'))), {
      code: 'bad-block',
    })
    throws(() => decodeMessage(hex(golden.replace(' 0002\n', ' 0401\n'))), { code: 'too-large' })
    throws(() => decodeMessage(hex(golden.replace('00000002 0102', 'ffffffff 0102'))), { code: 'too-large' })
    const top = golden.replace('0000000000000001 0000000000000003', '001ffffffffffffe 0000000000000003')
    throws(() => decodeMessage(hex(top)), { code: 'bad-integer' })
    throws(() => decodeMessage(new Uint8Array(MESSAGE_BYTES_MAX + 1)), { code: 'too-large' })
  })

  it('come back as they were', () => {
    fc.assert(fc.property(anyMessage, (message) => deepEqual(decodeMessage(encodeMessage(message)), message)))
  })

  it('have one spelling: whatever is read is written back to the same bytes, and the rest is refused', () => {
    const damaged = fc.tuple(anyMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    fc.assert(
      fc.property(damaged, ([message, damages]) => {
        const bytes = encodeMessage(message)
        for (const [at, value] of damages) bytes[at % bytes.length] = value
        try {
          equal(toHex(encodeMessage(decodeMessage(bytes))), toHex(bytes))
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})
