/** A closed-loop client: a fixed number of calls in flight against every node, each waiting until it is final. */
import { Agent, request } from 'node:http'

export interface LoadResult {
  readonly calls: number
  readonly seconds: number
  /** Submit → final of each call, in ms, ascending. */
  readonly latenciesMs: readonly number[]
  /** Error messages by how often they came. */
  readonly errors: ReadonlyMap<string, number>
}

/** Sends every body once. Bodies are prepared JSON-RPC calls, so that the clock measures the ledger alone. */
export async function run(
  urls: readonly string[],
  bodies: readonly string[],
  inFlightPerNode: number,
  onProgress: (done: number) => void,
): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlightPerNode })
  const latenciesMs: number[] = []
  const errors = new Map<string, number>()
  let next = 0
  const client = async (url: string) => {
    while (next < bodies.length) {
      const body = bodies[next++]!
      const start = performance.now()
      const answer = JSON.parse(await post(agent, `${url}/rpc`, body)) as Answer
      if (answer.result?.status === 'final') latenciesMs.push(performance.now() - start)
      else {
        const why = answer.error?.message ?? `stayed ${answer.result?.status}`
        errors.set(why, (errors.get(why) ?? 0) + 1)
      }
      onProgress(latenciesMs.length)
    }
  }
  const start = performance.now()
  await Promise.all(urls.flatMap((url) => Array.from({ length: inFlightPerNode }, () => client(url))))
  const seconds = (performance.now() - start) / 1000
  agent.destroy()
  return { calls: latenciesMs.length, seconds, latenciesMs: latenciesMs.sort((a, b) => a - b), errors }
}

interface Answer {
  readonly result?: { readonly status: string; readonly id: string }
  readonly error?: { readonly message: string }
}

function post(agent: Agent, url: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const call = request(url, { agent, method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
      response.on('error', reject)
    })
    call.on('error', reject)
    call.end(body)
  })
}

/** The value below which the share `p` of an ascending list lies. */
export function percentile(ascending: readonly number[], p: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * p))] ?? Number.NaN
}
