/** Threads that answer questions one after the other, each question given to whichever has the fewest. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { errorMessage, QatError } from '../src/errors.ts'

export class ThreadError extends QatError<'thread-failed'> {}

/** What a thread is sent. One without a number is for all threads, and gets no answer. */
export interface Question<Q> {
  readonly number?: number
  readonly question: Q
}

/** What it sends back. What goes wrong on the way ends the thread, and is heard so. */
export interface Answer<A> {
  readonly number: number
  readonly answer: A
}

interface Waiting<A> {
  readonly resolve: (answer: A) => void
  readonly reject: (error: ThreadError) => void
}

interface Thread<A> {
  readonly worker: Worker
  readonly waiting: Map<number, Waiting<A>>
}

/** Q and A cross over by structured clone, so they are values without functions, and large ones few arrays. */
export class ThreadPool<Q, A> {
  readonly #threads: readonly Thread<A>[]
  #failed: ThreadError | undefined
  #closed = false
  #number = 0

  /** `module` hears a Question and posts its Answer at its parentPort, and finds `data` in its workerData. */
  constructor(module: URL, data: unknown, threads = availableParallelism()) {
    this.#threads = Array.from({ length: threads }, () => this.#start(module, data))
  }

  get size(): number {
    return this.#threads.length
  }

  /** Rejects with ThreadError `thread-failed` if a thread has failed. */
  ask(question: Q): Promise<A> {
    if (this.#failed) return Promise.reject(this.#failed)
    const { worker, waiting } = this.#threads.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a))
    const number = this.#number++
    return new Promise((resolve, reject) => {
      waiting.set(number, { resolve, reject })
      worker.postMessage({ number, question } satisfies Question<Q>)
    })
  }

  /** Sends `question` to every thread, to be dealt with before whatever is asked from now on. */
  tell(question: Q): void {
    for (const { worker } of this.#threads) worker.postMessage({ question } satisfies Question<Q>)
  }

  /** Ends the threads; what they were asked is not answered any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#fail('The threads were ended.')
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #start(module: URL, data: unknown): Thread<A> {
    const worker = new Worker(module, { workerData: data })
    const waiting = new Map<number, Waiting<A>>()
    worker.on('message', ({ number, answer }: Answer<A>) => {
      waiting.get(number)?.resolve(answer)
      waiting.delete(number)
    })
    worker.on('messageerror', (error) => this.#died(error))
    worker.on('error', (error) => this.#died(error))
    worker.on('exit', (code) => this.#died(`it ended with code ${code}`))
    return { worker, waiting }
  }

  #died(why: unknown): void {
    if (this.#closed) return
    const reason = typeof why === 'string' ? why : errorMessage(why)
    this.#fail(`A thread of this process failed: ${reason}. If it lacked memory, free some and try again.`)
  }

  /** What one thread was told the others may not have heard yet, so none is trusted after it. */
  #fail(message: string): void {
    this.#failed ??= new ThreadError('thread-failed', message)
    for (const { waiting } of this.#threads) {
      for (const { reject } of waiting.values()) reject(this.#failed)
      waiting.clear()
    }
  }
}
