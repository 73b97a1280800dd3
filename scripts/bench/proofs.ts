/** Proofs of entries all over the tree, as a client asks for them, and their verification offline. */
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { type Client, createClient } from '../../node/rpc/client.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { type BundleTexts, bundleFromTexts } from '../../src/light/bundle.ts'
import { verifyBundle } from '../../src/light/verify.ts'
import { type Spread, spread } from './figures.ts'
import { LeanConnection, preparePost } from './lean-http.ts'
import { SINGLE } from './workload.ts'

const PROOFS = 200
/** Spreads the indexes over the tree; prime, so that they do not meet. */
const STRIDE = 7_919
/** Before them: connections, caches and compilers. */
const WARM_UP = 20

export interface ProofResult {
  readonly proveMs: Spread
  readonly verifyMs: Spread
  /** What the regulator receives for an entry of the workload SINGLE; the policy file is the same for all of them. */
  readonly bundleBytes: Spread
  readonly treeSize: number
}

export async function measureProofs(rpc: string): Promise<ProofResult> {
  const client = createClient(rpc)
  // The time of a proof is that of the node, not of fetch.
  const connection = new LeanConnection(rpc)
  const { size } = (await client.call('checkpoint.get')) as { size: number }
  const proveMs: number[] = []
  const verifyMs: number[] = []
  const bytes: number[] = []
  for (let i = -WARM_UP; i < PROOFS; i++) {
    const found = await entryNear(client, ((i + WARM_UP) * STRIDE) % size)
    if (!found) continue
    const { id } = found
    const startMs = performance.now()
    const answer = await connection.call(preparePost('/rpc', request('entry.prove', { id })))
    const provedMs = performance.now()
    const files = (JSON.parse(answer) as { result: BundleTexts }).result
    const bundle = bundleFromTexts(files)
    const beganMs = performance.now()
    const verdict = await verifyBundle(opensslSuite, bundle)
    const verifiedMs = performance.now()
    if (!verdict.ok) throw new Error(`a proof was refused: ${verdict.reason}`)
    if (i < 0) continue
    proveMs.push(provedMs - startMs)
    verifyMs.push(verifiedMs - beganMs)
    if (isSingle(found)) bytes.push(bundle.entry.length + bundle.proof.length)
  }
  connection.close()
  return {
    proveMs: spread(proveMs),
    verifyMs: spread(verifyMs),
    bundleBytes: spread(bytes),
    treeSize: size,
  }
}

function request(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
}

interface Found {
  readonly id: string
  readonly entry: { readonly payloadType: string; readonly payload: string }
}

const SUBMITTED: readonly string[] = [PAYLOAD_TYPES.event, PAYLOAD_TYPES.batch]

/** The entry at this index, or the next one where a seal or genesis stands there. */
async function entryNear(client: Client, index: number): Promise<Found | undefined> {
  for (let at = index; at < index + 16; at++) {
    const found = await client.call<Found>('entry.get', { index: at }).catch(() => undefined)
    if (found && SUBMITTED.includes(found.entry.payloadType)) return found
  }
  return undefined
}

function isSingle({ entry: { payloadType, payload } }: Found): boolean {
  if (payloadType !== PAYLOAD_TYPES.event) return false
  const { data } = JSON.parse(Buffer.from(payload, 'base64').toString()) as { data?: { text?: string } }
  return data?.text?.length === SINGLE.dataBytes
}
