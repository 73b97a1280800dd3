/** Real KMEs in the test process: certificates, TLS, blocks in their threads, LevelDB; and clients for them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../node/clock.ts'
import { readKmeConfig } from '../../node/kme/config.ts'
import { createKmes, KME_FILES } from '../../node/kme/create.ts'
import { type Kme, type KmeEvents, startKme } from '../../node/kme/kme.ts'
import type { RateLimits } from '../../node/kme/rate-limit.ts'
import { createLogger } from '../../node/logger.ts'
import { type Client014, createClient014 } from '../../node/qkd/client-014.ts'
import { until } from './cluster.ts'
import { freePorts } from './free-ports.ts'

export const NO_LIMITS: RateLimits = {
  encKeys: { perS: 1e6, burst: 1e6 },
  decKeys: { perS: 1e6, burst: 1e6 },
  keysPerMinute: 1e6,
  unknownPerMinute: 1e6,
}

/** A block of 5 km in 0.7 seconds. */
export const FAST_PULSES = 20_000_000

export interface KmesSetup {
  readonly names?: readonly string[]
  readonly routes?: Parameters<typeof createKmes>[0]['routes']
  readonly keysMax?: number
  readonly pulsesPerSecond?: number
  readonly rateLimits?: RateLimits
  readonly admin?: boolean
  readonly events?: (name: string) => KmeEvents
}

export class Kmes {
  readonly dir: string
  readonly names: readonly string[]
  readonly #setup: KmesSetup
  readonly #kmes = new Map<string, Kme>()
  readonly #clients: Client014[] = []

  private constructor(dir: string, setup: KmesSetup) {
    this.dir = dir
    this.names = setup.names ?? ['alpha', 'bravo']
    this.#setup = setup
  }

  static async start(setup: KmesSetup = {}): Promise<Kmes> {
    const kmes = new Kmes(await mkdtemp(join(tmpdir(), 'qat-kme-')), setup)
    const ports = await freePorts(3 * kmes.names.length)
    const host = '127.0.0.1'
    await createKmes({
      dir: kmes.dir,
      profile: '5km',
      pulsesPerSecond: setup.pulsesPerSecond ?? FAST_PULSES,
      keysMax: setup.keysMax ?? 4_096,
      now: Date.now(),
      ...(setup.routes && { routes: setup.routes }),
      kmes: kmes.names.map((sae, i) => ({
        sae,
        dir: kmes.folder(sae),
        host,
        api: { host, port: ports[3 * i]! },
        links: { host, port: ports[3 * i + 1]! },
        ...(setup.admin && { admin: { host, port: ports[3 * i + 2]! } }),
      })),
    })
    try {
      await Promise.all(kmes.names.map((name) => kmes.start(name)))
    } catch (error) {
      await kmes.close()
      throw error
    }
    return kmes
  }

  folder(name: string): string {
    return join(this.dir, name)
  }

  kme(name: string): Kme {
    return this.#kmes.get(name)!
  }

  async start(name: string): Promise<void> {
    const kme = await startKme({
      config: await readKmeConfig(join(this.folder(name), KME_FILES.config)),
      clock: systemClock,
      logger: createLogger(name, process.env.QAT_TEST_LOG ?? 'silent'),
      rateLimits: this.#setup.rateLimits ?? NO_LIMITS,
      ...(this.#setup.events && { events: this.#setup.events(name) }),
    })
    this.#kmes.set(name, kme)
  }

  async stop(name: string): Promise<void> {
    const kme = this.#kmes.get(name)
    this.#kmes.delete(name)
    await kme?.stop()
  }

  async tls(name: string, as = name) {
    const read = (file: string) => readFile(join(this.folder(as), file), 'utf8')
    return {
      url: `https://127.0.0.1:${this.kme(name).apiPort}`,
      ca: await read(KME_FILES.ca),
      cert: await read(KME_FILES.saeCert),
      key: await read(KME_FILES.saeKey),
    }
  }

  async client(name: string, as = name): Promise<Client014> {
    const client = createClient014({
      ...(await this.tls(name, as)),
      clock: systemClock,
      random: Math.random,
      timeoutMs: 1_000,
    })
    this.#clients.push(client)
    return client
  }

  /** Until every fibre has made its first keys. */
  async keyed(): Promise<void> {
    await until(() =>
      [...this.#kmes.values()].every((kme) => kme.links().every((link) => link.keysStored > 0)),
    )
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await Promise.all([...this.#kmes.keys()].map((name) => this.stop(name)))
    await rm(this.dir, { recursive: true, force: true })
  }
}
