/** Reads the gzipped ACVP files of ML-DSA (FIPS 204) and joins each case with its expected result. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { MlDsaAlg } from '../../src/crypto/suite.ts'

export interface Group<Case> {
  readonly parameterSet: MlDsaAlg
  readonly deterministic?: boolean
  readonly signatureInterface?: 'external' | 'internal'
  readonly preHash?: 'pure' | 'preHash'
  readonly tests: readonly Case[]
}

interface File {
  readonly testGroups: readonly Group<{ readonly tcId: number }>[]
}

/** `Case` names the hex members that the caller reads; every number and text stays as the file has it. */
export function readAcvp<Case>(folder: URL, kind: 'keyGen' | 'sigGen' | 'sigVer'): Group<Case>[] {
  const read = (name: string): File =>
    JSON.parse(gunzipSync(readFileSync(new URL(`ML-DSA-${kind}-FIPS204/${name}.json.gz`, folder))).toString())
  const expected = new Map(
    read('expectedResults').testGroups.flatMap((group) => group.tests.map((test) => [test.tcId, test])),
  )
  return read('prompt').testGroups.map((group) => ({
    ...group,
    tests: group.tests.map((test) => ({ ...test, ...expected.get(test.tcId) }) as Case),
  }))
}
