import { deepEqual, equal, throws } from 'node:assert/strict'
import fc from 'fast-check'
import type { Message } from '../../consensus/messages.ts'
import type { Block, BlockRef, Certified } from '../../consensus/types.ts'
import {
  decodeCertified,
  decodeMessage,
  encodeCertified,
  encodeMessage,
  MESSAGE_BYTES_MAX,
} from '../../consensus/wire.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'

const A = 'aa'.repeat(32)
const B = 'bb'.repeat(32)
const C = 'cc'.repeat(32)

const T7 = '0000000000000007'
const BASE: Certified = { block: { height: 5, term: 6, hash: A }, proof: { kind: 'genesis' } }
const POSITION = '0000000000000005 0000000000000006'
const SIGNED: Certified = {
  block: { height: 5, term: 6, hash: A },
  proof: {
    kind: 'acknowledgements',
    seal: fromHex('5ea1'),
    acknowledgements: [
      { from: 'b', signature: fromHex('0b') },
      { from: 'ü', signature: fromHex('0c0c') },
    ],
  },
}
const SIGNED_HEX = `${POSITION} ${A} 01 00000002 5ea1 0002 0001 62 00000001 0b 0002 c3bc 00000002 0c0c`

const GOLDEN: readonly (readonly [Message, string])[] = [
  [{ kind: 'pre-vote', term: 7, base: { height: 5, term: 6 } }, `0301 ${T7} ${POSITION}`],
  [{ kind: 'pre-vote-reply', term: 7, granted: true }, `0302 ${T7} 01`],
  [{ kind: 'vote', term: 7, base: SIGNED, signature: fromHex('51') }, `0303 ${T7} ${SIGNED_HEX} 00000001 51`],
  [{ kind: 'vote-reply', term: 7, signature: fromHex('51') }, `0304 ${T7} 00000001 51`],
  [{ kind: 'vote-reply', term: 7, signature: undefined }, `0304 ${T7} 00000000`],
  [
    {
      kind: 'append',
      term: 7,
      prev: { height: 1, term: 3, hash: A },
      blocks: [
        { height: 2, term: 4, hash: B, prev: A, body: fromHex('0102') },
        { height: 3, term: 7, hash: C, prev: B, body: new Uint8Array() },
      ],
    },
    `0305 ${T7} 0000000000000001 0000000000000003 ${A} 0002
     0000000000000004 ${B} 00000002 0102 ${T7} ${C} 00000000`,
  ],
  [{ kind: 'append-reply', term: 7, match: 2 ** 53 - 1 }, `0306 ${T7} 001fffffffffffff`],
  [
    { kind: 'append-reject', term: 7, rejected: 9, hint: { height: 5, term: 6 } },
    `0307 ${T7} 0000000000000009 ${POSITION}`,
  ],
  [{ kind: 'heartbeat', term: 7, round: 3 }, `0308 ${T7} 0000000000000003`],
  [{ kind: 'heartbeat-reply', term: 7, commit: 4, round: 3 }, `0309 ${T7} 0000000000000004 0000000000000003`],
  [{ kind: 'behind', term: 7, commit: 4 }, `030a ${T7} 0000000000000004`],
  [{ kind: 'timeout-now', term: 7, to: 'b' }, `030b ${T7} 0001 62`],
  [
    { kind: 'lead', term: 7, leader: 'b', base: BASE, votes: [{ from: 'c', signature: fromHex('51') }] },
    `030c ${T7} 0001 62 ${POSITION} ${A} 03 0001 0001 63 00000001 51`,
  ],
  [
    {
      kind: 'lead',
      term: 7,
      leader: 'b',
      base: { ...BASE, proof: { kind: 'ledger', bytes: fromHex('ce') } },
      votes: [],
    },
    `030c ${T7} 0001 62 ${POSITION} ${A} 02 00000001 ce 0000`,
  ],
  [
    { kind: 'acknowledge', term: 7, height: 5, hash: A, signature: fromHex('51') },
    `030d ${T7} 0000000000000005 ${A} 00000001 51`,
  ],
  [{ kind: 'locked', term: 7, height: 5, hash: A }, `030e ${T7} 0000000000000005 ${A}`],
  [{ kind: 'ask', term: 7, knowsLeader: true }, `030f ${T7} 01`],
  [{ kind: 'complaint', term: 7 }, `0310 ${T7}`],
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
    return { kind: 'append', term: before.term + 1, prev, blocks }
  })
const bytes = fc.uint8Array({ minLength: 1, maxLength: 9 })
const name = fc.constantFrom('a', 'validator-7', 'ü')
const signed = fc.array(record({ from: name, signature: bytes }), { maxLength: 15 })
const certified: fc.Arbitrary<Certified> = record({
  block: record({ height: number, term: number, hash }),
  proof: fc.oneof(
    record({ kind: fc.constant('acknowledgements' as const), seal: bytes, acknowledgements: signed }),
    record({ kind: fc.constant('ledger' as const), bytes }),
    record({ kind: fc.constant('genesis' as const) }),
  ),
})
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  append,
  record({ kind: fc.constant('pre-vote' as const), term: number, base: position }),
  record({ kind: fc.constant('pre-vote-reply' as const), term: number, granted: fc.boolean() }),
  record({ kind: fc.constant('vote' as const), term: number, base: certified, signature: bytes }),
  record({
    kind: fc.constant('vote-reply' as const),
    term: number,
    signature: fc.option(bytes, { nil: undefined }),
  }),
  record({ kind: fc.constant('lead' as const), term: number, leader: name, base: certified, votes: signed }),
  record({ kind: fc.constant('append-reply' as const), term: number, match: number }),
  record({ kind: fc.constant('append-reject' as const), term: number, rejected: number, hint: position }),
  record({ kind: fc.constant('acknowledge' as const), term: number, height: number, hash, signature: bytes }),
  record({ kind: fc.constant('locked' as const), term: number, height: number, hash }),
  record({ kind: fc.constant('ask' as const), term: number, knowsLeader: fc.boolean() }),
  record({ kind: fc.constant('heartbeat' as const), term: number, round: number }),
  record({ kind: fc.constant('heartbeat-reply' as const), term: number, commit: number, round: number }),
  record({ kind: fc.constant('behind' as const), term: number, commit: number }),
  record({ kind: fc.constant('timeout-now' as const), term: number, to: name }),
  record({ kind: fc.constant('complaint' as const), term: number }),
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

  it('refuse unknown versions, kinds and proofs, second spellings and numbers out of range', () => {
    throws(() => decodeMessage(hex(`0208 ${T7} 0000000000000003`)), { code: 'bad-field' })
    throws(() => decodeMessage(hex(`0300 ${T7}`)), { code: 'bad-field' })
    throws(() => decodeMessage(hex(`0311 ${T7}`)), { code: 'bad-field' })
    throws(() => decodeMessage(hex(`0302 ${T7} 02`)), { code: 'bad-field' })
    throws(() => decodeMessage(hex(`030f ${T7} 02`)), { code: 'bad-field' })
    for (const proof of ['00', '04']) {
      throws(() => decodeMessage(hex(`030c ${T7} 0001 62 ${POSITION} ${A} ${proof} 0000`)), {
        code: 'bad-field',
      })
    }
    throws(() => decodeMessage(hex('0310 0020000000000000')), { code: 'bad-integer' })
    throws(() => decodeMessage(hex(`0308 ${T7} 0020000000000000`)), { code: 'bad-integer' })
    throws(() => encodeMessage({ kind: 'complaint', term: -1 }), { code: 'bad-integer' })
    throws(() => encodeMessage({ kind: 'complaint', term: 1.5 }), { code: 'bad-integer' })
  })

  it('refuse more signatures than there can be voters, and longer ones than there are', () => {
    const one = '0001 63 00000001 51'
    const votes = (count: number) =>
      `030c ${T7} 0001 62 ${POSITION} ${A} 03 ${count.toString(16).padStart(4, '0')}`
    decodeMessage(hex(`${votes(15)} ${one.repeat(15)}`))
    throws(() => decodeMessage(hex(`${votes(16)} ${one.repeat(16)}`)), { code: 'too-large' })
    throws(() => decodeMessage(hex(`0304 ${T7} 00002001 ${'00'.repeat(8193)}`)), { code: 'too-large' })
    throws(() => decodeMessage(hex(`030b ${T7} 0100 ${'61'.repeat(256)}`)), { code: 'too-large' })
    throws(() => decodeMessage(hex(`030c ${T7} 0001 62 ${POSITION} ${A} 02 00080001 00`)), {
      code: 'too-large',
    })
    throws(() => decodeMessage(hex(`030c ${T7} 0001 62 ${POSITION} ${A} 01 00010000 00`)), {
      code: 'too-large',
    })
  })

  it('refuse blocks that do not chain, more than allowed, or longer than there are bytes', () => {
    const [message, golden] = GOLDEN.find(([each]) => each.kind === 'append')!
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

  it('keep a certificate on the disk in the bytes that it has in a message, as a copy', () => {
    const own = encodeCertified(SIGNED)
    equal(toHex(own), toHex(hex(SIGNED_HEX)))
    const read = decodeCertified(own)
    own.fill(0)
    deepEqual(read, SIGNED)
    throws(() => decodeCertified(hex(`${SIGNED_HEX} 00`)), { code: 'trailing-bytes' })
    throws(() => decodeCertified(hex(SIGNED_HEX).subarray(0, -1)), FormatError)
    fc.assert(fc.property(certified, (each) => deepEqual(decodeCertified(encodeCertified(each)), each)))
  })
})
