/**
 * Verification in parallel, but never so much at once that the thread pool has no room for the disk: a block
 * of thousands of signatures must not delay the write of a vote. What ordering waits for goes first.
 */
import type { SignatureSuite } from '../../src/crypto/suite.ts'

/** Twice the pool's usual four threads: they never idle, and a disk write waits for two verifications at most. */
const IN_FLIGHT_MAX = 8

type Job = () => Promise<void>

/** Two views of one queue over `suite`. `urgent` is served before `ordinary`; signing is not queued. */
export function verifyQueue(suite: SignatureSuite): { urgent: SignatureSuite; ordinary: SignatureSuite } {
  const urgent: Job[] = []
  const ordinary: Job[] = []
  let inFlight = 0

  const next = () => {
    while (inFlight < IN_FLIGHT_MAX) {
      const job = urgent.shift() ?? ordinary.shift()
      if (!job) return
      inFlight++
      void job().finally(() => {
        inFlight--
        next()
      })
    }
  }
  const view = (queue: Job[]): SignatureSuite => ({
    signer: (alg, seed) => suite.signer(alg, seed),
    verify: (key, message, signature) =>
      new Promise((resolve, reject) => {
        queue.push(() => suite.verify(key, message, signature).then(resolve, reject))
        next()
      }),
  })
  return { urgent: view(urgent), ordinary: view(ordinary) }
}
