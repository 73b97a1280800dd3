/** What a person reads while it runs: lines on standard error, and in a file beside the nodes' logs. */
import { appendFileSync } from 'node:fs'

const EVERY_MS = 5_000

export class Reporter {
  readonly #path: string
  readonly #begun = performance.now()
  #progressAt = Number.NEGATIVE_INFINITY

  /** @param path keeps the lines with the time of day, by which the nodes log as well */
  constructor(path: string) {
    this.#path = path
  }

  readonly say = (text: string): void => {
    const seconds = (performance.now() - this.#begun) / 1_000
    process.stderr.write(`${seconds.toFixed(1).padStart(7)} s  ${text}\n`)
    appendFileSync(this.#path, `${new Date().toISOString()} ${text}\n`)
  }

  /** Says it unless some progress was reported in the last few seconds. */
  readonly progress = (text: string): void => {
    if (performance.now() - this.#progressAt < EVERY_MS) return
    this.#progressAt = performance.now()
    this.say(text)
  }
}
