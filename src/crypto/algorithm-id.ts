/** The AlgorithmIdentifier of an ML-DSA key (RFC 9881 section 2): the object identifier, parameters absent. */
import { equalBytes } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { type DerReader, der, derOid, TAG } from './der.ts'
import { ML_DSA, type MlDsaAlg } from './suite.ts'

const ALGS = Object.keys(ML_DSA) as MlDsaAlg[]

export function algorithmIdentifier(alg: MlDsaAlg): Uint8Array {
  return der(TAG.sequence, derOid(ML_DSA[alg].oid))
}

/** Refuses other algorithms and any parameters: FormatError `bad-key`, `trailing-bytes`, `truncated`. */
export function readAlgorithmIdentifier(reader: DerReader): MlDsaAlg {
  const identifier = reader.sequence()
  const oid = der(TAG.oid, identifier.read(TAG.oid))
  identifier.end()
  const alg = ALGS.find((candidate) => equalBytes(derOid(ML_DSA[candidate].oid), oid))
  if (alg === undefined) throw new FormatError('bad-key', `The key is not an ${ALGS.join(', ')} key.`)
  return alg
}
