import { deepEqual, equal, throws } from 'node:assert/strict'
import { fromHex, toHex } from '../../src/bytes.ts'
import { Reader } from '../../src/codec/reader.ts'
import { Writer } from '../../src/codec/writer.ts'

describe('the binary codec', () => {
  const golden = `07 0102 ff00ff00 0000000100000002 aabb 00000001cc 0003 e282ac`.replaceAll(' ', '')

  it('writes each field big-endian', () => {
    const out = new Writer()
      .u8(7)
      .u16(0x0102)
      .u32(0xff00ff00)
      .u53(2 ** 32 + 2)
      .bytes(fromHex('aabb'))
    equal(toHex(out.blob(fromHex('cc')).string('€').finish()), golden)
  })

  it('reads them back, to the last byte', () => {
    const from = new Reader(fromHex(golden))
    deepEqual([from.u8(), from.u16(), from.u32(), from.u53()], [7, 0x0102, 0xff00ff00, 2 ** 32 + 2])
    deepEqual([toHex(from.bytes(2)), toHex(from.blob(1)), from.string(3)], ['aabb', 'cc', '€'])
    from.end()
  })

  it('refuses numbers that do not fit', () => {
    for (const value of [-1, 256, 1.5, Number.NaN])
      throws(() => new Writer().u8(value), { code: 'bad-integer' })
    throws(() => new Writer().u16(65_536), { code: 'bad-integer' })
    throws(() => new Writer().u32(2 ** 32), { code: 'bad-integer' })
    throws(() => new Writer().u53(2 ** 53), { code: 'bad-integer' })
    throws(() => new Writer().string('x'.repeat(65_536)), { code: 'bad-integer' })
    throws(() => new Reader(fromHex('0020000000000000')).u53(), { code: 'bad-integer' })
  })

  it('refuses what is missing, left over, above its bound or spelled otherwise', () => {
    throws(() => new Reader(fromHex('01')).u16(), { code: 'truncated' })
    throws(() => new Reader(fromHex('0000000501')).blob(9), { code: 'truncated' })
    throws(() => new Reader(fromHex('0000000501')).blob(4), { code: 'too-large' })
    throws(() => new Reader(fromHex('0002')).count(1), { code: 'too-large' })
    throws(() => new Reader(fromHex('0001ff')).string(9), { code: 'bad-utf8' })
    throws(() => new Reader(fromHex('02')).flag(), { code: 'bad-field' })
    throws(() => new Reader(fromHex('00')).end(), { code: 'trailing-bytes' })
  })
})
