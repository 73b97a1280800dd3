/** A thread that simulates the seeds it is sent, one after the other. */
import { parentPort } from 'node:worker_threads'
import type { Order } from './fleet.ts'
import { simulate } from './simulation.ts'

parentPort!.on('message', async ({ seed, options }: Order) => {
  parentPort!.postMessage(await simulate(seed, options))
})
