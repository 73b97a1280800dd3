/** Many seeds on several cores: threads that each take the next seed when they have done with one. */
import { Worker } from 'node:worker_threads'
import type { SimOptions } from './plan.ts'
import type { Outcome } from './simulation.ts'

/** Room for new objects of each thread: twice what V8 gives by itself. */
const YOUNG_MB = 32

export interface Order {
  readonly seed: number
  readonly options: SimOptions
}

/** The seeds from `start` on, all with the same options. */
export function orders(seeds: number, start: number, options: SimOptions = {}): Order[] {
  return Array.from({ length: seeds }, (_, i) => ({ seed: start + i, options }))
}

/**
 * Simulates all orders. `onOutcome` hears of each as it is done, and may end it all by returning false or by throwing,
 * and then this throws the same.
 */
export async function runFleet(
  list: readonly Order[],
  threads: number,
  onOutcome: (outcome: Outcome, order: Order) => boolean,
): Promise<void> {
  const waiting = [...list]
  const workers: Worker[] = []
  const thread = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url), {
        // Most of what a simulation makes is garbage a moment later.
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
      })
      workers.push(worker)
      let order: Order | undefined
      const next = () => {
        order = waiting.shift()
        if (order === undefined) resolve()
        else worker.postMessage(order)
      }
      worker.on('message', (outcome: Outcome) => {
        try {
          if (!onOutcome(outcome, order!)) waiting.length = 0
          next()
        } catch (error) {
          reject(error)
        }
      })
      worker.on('error', (error) =>
        reject(new Error(`seed ${order?.seed}: ${error.message}`, { cause: error })),
      )
      next()
    })
  try {
    await Promise.all(Array.from({ length: Math.min(threads, list.length) }, thread))
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

/** The command that simulates an order again. */
export function replayCommand({ seed, options }: Order): string {
  const flags = Object.entries(options).map(([name, value]) => ` --${name} ${value}`)
  return `npm run sim -- --seeds 1 --start ${seed}${flags.join('')}`
}
