/** After the storm: what the clients were promised, against what the chain holds and what it can prove. */
import { setTimeout as sleep } from 'node:timers/promises'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { type Client, createClient, RpcError } from '../../node/rpc/client.ts'
import { QUERY_LIMIT_MAX } from '../../node/rpc/limits.ts'
import type { BlockView, BundleFiles, NodeStatus } from '../../node/service.ts'
import { fromBase64, parseDecimal, utf8 } from '../../src/bytes.ts'
import { object, parseJson, text } from '../../src/json.ts'
import { bundleFromTexts } from '../../src/light/bundle.ts'
import { verifyBundle } from '../../src/light/verify.ts'
import { ENTRY_BYTES_MAX } from '../../src/limits.ts'
import type { Acknowledged, Book } from './book.ts'
import type { ChaosCluster } from './cluster.ts'
import { SOURCE } from './load.ts'
import { verifyingOnce } from './verifying-once.ts'

/** What the questions are put to. */
export type Audited = Pick<ChaosCluster, 'names' | 'url' | 'statuses' | 'until' | 'policy'>

export interface Findings {
  /** Acknowledged, and not in the chain, or not final. */
  readonly lost: number
  /** Events that the chain holds more than once. */
  readonly duplicated: number
  /** Acknowledged and proved final by a node that had not acknowledged them. */
  readonly proved: number
  /** In the chain, with a proof that does not hold. */
  readonly unproved: number
  /** A sentence for each of the first of them. */
  readonly sentences: readonly string[]
}

/** Everything that is wrong with one run would flood the screen; the first few show the kind. */
const SENTENCES_MAX = 20
/** Proofs asked for at once. */
const WIDTH = 16
const ANSWER_MS = 30_000
const ATTEMPTS = 5
const RETRY_MS = 500
/** Twice the same answer, this far apart, is quiet. */
const QUIET_MS = 1_000

/** Waits until every node has ordered and certified everything it knows of, all of them the same. */
export async function awaitQuiet(cluster: Audited, timeoutMs: number): Promise<boolean> {
  let last = ''
  return cluster.until(async () => {
    const statuses = await cluster.statuses()
    const now = isSettled(statuses) ? String(statuses[0]!.size) : ''
    const isQuiet = now !== '' && now === last
    last = now
    if (!isQuiet) await sleep(QUIET_MS)
    return isQuiet
  }, timeoutMs)
}

function isSettled(
  statuses: readonly (NodeStatus | undefined)[],
): statuses is readonly [NodeStatus, ...NodeStatus[]] {
  const sizes = statuses.map((status) => status?.size)
  return statuses.every((status) => {
    return status?.pending === 0 && status.finalSize === status.size && status.size === sizes[0]
  })
}

export interface CommonBlock {
  readonly height: number
  readonly size: number
  /** Root of the tree after that block, in hex, by node. */
  readonly roots: ReadonlyMap<string, string>
}

/** The root that each node which answers has at the newest height that all of them have. */
export async function rootsAtCommonHeight(cluster: Audited): Promise<CommonBlock> {
  const answers = (await cluster.statuses()).flatMap((status) => (status ? [status] : []))
  const height = Math.min(...answers.map((status) => status.height))
  const roots = new Map<string, string>()
  let size = 0
  for (const { name } of answers) {
    const client = createClient(cluster.url(name), { timeoutMs: ANSWER_MS })
    const block = await client.call<BlockView>('block.get', { height })
    roots.set(name, block.root)
    size = block.size
  }
  return { height, size, roots }
}

/**
 * Reads the whole chain from one node, then has every acknowledged entry proved by a node that did not
 * acknowledge it. Nodes that do not answer are left out. Throws if none does.
 */
export async function audit(
  cluster: Audited,
  book: Book,
  onProgress: (text: string) => void,
): Promise<Findings> {
  const clients = cluster.names.map((name) => createClient(cluster.url(name), { timeoutMs: ANSWER_MS }))
  const sentences: string[] = []
  const tell = (sentence: string) => {
    if (sentences.length < SENTENCES_MAX) sentences.push(sentence)
  }
  const answering = (await cluster.statuses()).flatMap((status, node) => (status ? [node] : []))
  const duplicated = await readChain(clients[answering[0] ?? 0]!, book, tell, onProgress)
  const counts = { proved: 0, lost: 0, unproved: 0 }
  const suite = verifyingOnce(opensslSuite)
  const policy = utf8(cluster.policy)
  const promises = book.promises()[Symbol.iterator]()
  const worker = async () => {
    for (let next = promises.next(); !next.done; next = promises.next()) {
      const { value } = next
      const prover = proverOf(value, answering)
      const { outcome, reason } = await prove(value, clients[prover]!)
      counts[outcome]++
      if (outcome !== 'proved') {
        const { event, stage, id } = value
        const said = `event ${event}, acknowledged as ${stage} by ${namesOf(value)} as ${id}`
        tell(`${outcome}: ${said}; ${cluster.names[prover]} says: ${reason}`)
      }
      onProgress(`proving ${counts.proved + counts.lost + counts.unproved} of ${book.promised}`)
    }
  }
  const namesOf = ({ tellers }: Acknowledged) => tellers.map((node) => cluster.names[node]).join(', ')
  const prove = async ({ event, id }: Acknowledged, client: Client): Promise<Proof> => {
    const files = await bundleOf(client, id)
    if (files instanceof RpcError) return { outcome: 'lost', reason: files.message }
    const bundle = { ...bundleFromTexts(files), policy }
    const verdict = await verifyBundle(suite, bundle)
    if (!verdict.ok) return { outcome: 'unproved', reason: verdict.reason }
    const { leafHash, claims } = verdict.proves
    if (leafHash === id && claims[0]?.id === String(event)) return { outcome: 'proved', reason: '' }
    return { outcome: 'unproved', reason: `It proves ${leafHash} with event ${claims[0]?.id}.` }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  return { ...counts, duplicated, sentences }
}

interface Proof {
  readonly outcome: 'proved' | 'lost' | 'unproved'
  readonly reason: string
}

/** One of the nodes that did not acknowledge it, in turn; one that did, if all of them have. */
function proverOf({ event, tellers }: Acknowledged, answering: readonly number[]): number {
  const others = answering.filter((node) => !tellers.includes(node))
  const provers = others.length > 0 ? others : answering
  return provers[event % provers.length]!
}

/** The node's refusal is an answer; no answer at all is asked for again, and in the end an error. */
async function bundleOf(client: Client, id: string): Promise<BundleFiles | RpcError> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.call<BundleFiles>('entry.prove', { id })
    } catch (error) {
      if (error instanceof RpcError) return error
      if (attempt === ATTEMPTS) throw error
      await sleep(RETRY_MS)
    }
  }
}

interface Page {
  readonly entries: readonly { readonly id: string; readonly index: number; readonly entry: object }[]
  readonly next?: string
}

/** Notes every event that the chain holds; the number of those that it holds again. */
async function readChain(
  client: Client,
  book: Book,
  tell: (sentence: string) => void,
  onProgress: (text: string) => void,
): Promise<number> {
  let duplicated = 0
  let cursor: string | undefined
  do {
    const at = cursor === undefined ? {} : { cursor }
    const page: Page = await client.call('entry.query', { order: 'asc', limit: QUERY_LIMIT_MAX, ...at })
    for (const { id, index, entry } of page.entries) {
      const event = eventOf(entry)
      if (event === undefined || book.find(event, id)) continue
      duplicated++
      tell(`duplicated: event ${event} stands in the chain before, and again as ${id} at index ${index}`)
    }
    cursor = page.next
    const last = page.entries.at(-1)
    if (last) onProgress(`reading the chain, leaf ${last.index}`)
  } while (cursor !== undefined)
  return duplicated
}

/** The number of one of our events. */
function eventOf(entry: object): number | undefined {
  const payload = fromBase64(
    text((entry as { payload?: string }).payload, 'The payload', 2 * ENTRY_BYTES_MAX),
  )
  const { source, id } = object(parseJson(payload, ENTRY_BYTES_MAX), 'The event')
  return source === SOURCE ? parseDecimal(text(id, 'The id of the event', 15)) : undefined
}
