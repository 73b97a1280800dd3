/**
 * An HTTP/1.1 client that costs next to nothing, because it runs beside what it measures: requests are bytes that
 * were prepared before, a connection is kept and carries one call at a time, and of an answer only its length is
 * looked at. Both the nodes and etcd are asked through it. (node:http takes three times the CPU a call, fetch more.)
 */
import { connect, type Socket } from 'node:net'

const HEAD_END = '\r\n\r\n'

/** A whole POST request with a JSON body. */
export function preparePost(path: string, body: string | Uint8Array): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${bytes.length}${HEAD_END}`
  return Buffer.concat([Buffer.from(head), bytes])
}

/** One connection; `call` waits for the answer before, and connects anew after a failure. */
export class LeanConnection {
  readonly #host: string
  readonly #port: number
  #socket: Socket | undefined
  #received: Buffer = Buffer.alloc(0)
  #answer: { resolve: (body: string) => void; reject: (error: Error) => void } | undefined

  constructor(url: string) {
    const { hostname, port } = new URL(url)
    this.#host = hostname
    this.#port = Number(port)
  }

  /** Sends a prepared request; resolves with the body of the answer, whatever its status. */
  call(request: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject }
      this.#socket ??= this.#connect()
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket?.destroy()
  }

  #connect(): Socket {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true })
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
    this.#received = Buffer.alloc(0)
    return socket
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const body = bodyOf(this.#received)
    if (body === undefined) return
    if (body instanceof Error) {
      this.#fail(body)
      return
    }
    const answer = this.#answer
    this.#received = Buffer.alloc(0)
    this.#answer = undefined
    answer?.resolve(body)
  }

  #fail(error: Error): void {
    const answer = this.#answer
    this.#socket?.destroy()
    this.#socket = undefined
    this.#answer = undefined
    answer?.reject(error)
  }
}

/** The body of a whole answer; undefined while some of it is missing. */
export function bodyOf(received: Buffer): string | Error | undefined {
  const end = received.indexOf(HEAD_END)
  if (end < 0) return undefined
  const head = received.toString('latin1', 0, end)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  // Both servers say it for answers that are as short as these.
  if (length === undefined) return new Error(`an answer without its length: ${head.split('\r\n')[0]}`)
  const start = end + HEAD_END.length
  if (received.length < start + Number(length)) return undefined
  return received.toString('utf8', start, start + Number(length))
}

/**
 * As many connections as there are calls at a time, up to a bound; further calls wait for the first one that is
 * free. Servers are asked in turn.
 */
export class LeanPool {
  readonly #urls: readonly string[]
  readonly #max: number
  readonly #idle: LeanConnection[] = []
  readonly #all: LeanConnection[] = []
  readonly #waiting: ((connection: LeanConnection) => void)[] = []

  constructor(urls: readonly string[], max: number) {
    this.#urls = urls
    this.#max = max
  }

  async call(request: Buffer): Promise<string> {
    const connection = await this.#take()
    try {
      return await connection.call(request)
    } finally {
      const next = this.#waiting.shift()
      if (next) next(connection)
      else this.#idle.push(connection)
    }
  }

  close(): void {
    for (const connection of this.#all) connection.close()
  }

  #take(): LeanConnection | Promise<LeanConnection> {
    const idle = this.#idle.shift()
    if (idle) return idle
    if (this.#all.length >= this.#max) return new Promise((resolve) => this.#waiting.push(resolve))
    const connection = new LeanConnection(this.#urls[this.#all.length % this.#urls.length]!)
    this.#all.push(connection)
    return connection
  }
}
