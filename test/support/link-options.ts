/** How a test's libp2p node keys its links: by ML-KEM alone. */
import { randomBytes } from 'node:crypto'
import { systemClock } from '../../node/clock.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { QkdNoiseOptions } from '../../node/net/qkd-noise/encrypter.ts'
import { REKEY_LIMITS } from '../../node/net/qkd-noise/session.ts'
import type { Signer } from '../../src/crypto/suite.ts'

export function linkOptions(signer: Signer): Omit<QkdNoiseOptions, 'name'> {
  return {
    signer,
    verify: opensslSuite.verify,
    policy: 'prefer',
    keys: undefined,
    limits: REKEY_LIMITS,
    clock: systemClock,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    onEvent: () => {},
  }
}
