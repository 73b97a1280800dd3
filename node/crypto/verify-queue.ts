/**
 * Verification in parallel, but never so much at once that the thread pool has no room for the disk: a block
 * of thousands of signatures must not delay the write of a vote. What ordering waits for goes first, and the past
 * that a node catches up with goes last.
 */
import type { SignatureSuite } from '../../src/crypto/suite.ts'

/** Twice the pool's usual four threads: they never idle, and a disk write waits for two verifications at most. */
const IN_FLIGHT_MAX = 8

/** One verification in so many is of the past even if there is enough else to do, so that catching up ends. */
const PAST_SHARE = 4

type Job = () => Promise<void>

export interface VerifyLanes {
  /** What ordering waits for. */
  readonly urgent: SignatureSuite
  /** What clients and gossip bring. */
  readonly ordinary: SignatureSuite
  /** What this node missed and catches up with, thousands at a time. */
  readonly past: SignatureSuite
}

/** Three views of one queue over `suite`, the first to be served first. Signing is not queued. */
export function verifyQueue(suite: SignatureSuite): VerifyLanes {
  const urgent: Job[] = []
  const ordinary: Job[] = []
  const past: Job[] = []
  let inFlight = 0
  let turn = 0

  const next = () => {
    while (inFlight < IN_FLIGHT_MAX) {
      const due = turn++ % PAST_SHARE === 0 ? past.shift() : undefined
      const job = due ?? urgent.shift() ?? ordinary.shift() ?? past.shift()
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
  return { urgent: view(urgent), ordinary: view(ordinary), past: view(past) }
}
