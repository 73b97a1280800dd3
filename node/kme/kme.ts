/**
 * One key management entity: its fibres, what it keeps, and ETSI GS QKD 014 for its applications. The same inside a
 * node and as a process of its own (`qat kme`).
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Server } from 'node:tls'
import { toHex, utf8 } from '../../src/bytes.ts'
import { errorMessage } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import type { Health } from '../../src/qkd/link-health.ts'
import type { Channel } from '../../src/qkd/profile.ts'
import type { BlockReport, BlockResult } from '../../src/qkd/protocol.ts'
import { boundedLog } from '../bounded-log.ts'
import type { Clock } from '../clock.ts'
import { createFile, readOrMakeSecret } from '../durable-file.ts'
import type { Logger } from '../logger.ts'
import type { Kv } from '../store/kv.ts'
import { openLevel } from '../store/level.ts'
import { createAdminApi } from './admin-api.ts'
import { createApi014 } from './api-014.ts'
import { BlockRunner } from './block-runner.ts'
import { Carrier } from './carrier.ts'
import { type KmeConfig, KmeError, type KmePlace } from './config.ts'
import type { Control } from './control.ts'
import { FibreLink, type FibreStatus } from './fibre-link.ts'
import { Interlink } from './interlink.ts'
import type { InterlinkFrame } from './interlink-frames.ts'
import { KEY_LIMITS, KeyService } from './key-service.ts'
import type { RateLimits } from './rate-limit.ts'
import { TlsFiles } from './tls-files.ts'

/** What a KME tells whoever runs it, beside what its log says. */
export interface KmeEvents {
  block?(kmeId: string, result: BlockResult, report: BlockReport | undefined): void
  health?(kmeId: string, from: Health, to: Health, report: BlockReport | undefined): void
  answer?(method: 'status' | 'enc_keys' | 'dec_keys', status: number): void
}

export interface KmeOptions {
  readonly config: KmeConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly events?: KmeEvents
  readonly rateLimits?: RateLimits
  /** In place of LevelDB. */
  readonly kv?: Kv
}

export interface Kme {
  readonly id: string
  /** Ports that were taken, also where the configuration leaves them open. */
  readonly apiPort: number
  readonly linksPort: number
  readonly adminPort: number | undefined
  /** When the first of its certificates ends, in milliseconds since 1970. */
  certificateEndsAt(): number
  /** Reads its certificates again, which else happens every minute. */
  lookAtCertificates(): Promise<void>
  links(): FibreStatus[]
  /** Applications beside the KME at the other end of a fibre. */
  saesOf(kmeId: string): readonly string[]
  /** Does something to a simulated fibre; false if there is none to that KME, or its host cannot be told. */
  disturb(kmeId: string, change: Partial<Channel>): boolean
  restore(kmeId: string): boolean
  stop(): Promise<void>
}

export async function startKme({
  config,
  clock,
  logger: given,
  events,
  rateLimits,
  kv: givenKv,
}: KmeOptions): Promise<Kme> {
  const logger = boundedLog(given, clock.elapsed)
  const closers: (() => Promise<void> | void)[] = []
  const stop = async () => {
    for (let close = closers.pop(); close; close = closers.pop()) await close()
  }
  try {
    await mkdir(config.store, { recursive: true, mode: 0o700 })
    const sealKey = await readOrMakeSecret(join(config.store, 'pool.key'), 32)
    closers.push(() => void sealKey.fill(0))
    const kv = givenKv ?? (await openLevel(join(config.store, 'pool')))
    if (!givenKv) closers.push(() => kv.close())
    const files = await openTls(config, clock, logger)
    closers.push(() => files.close())
    const tls = files.identity
    const runner = new BlockRunner(clock)
    closers.push(() => runner.close())

    const links = new Map<string, FibreLink>()
    const carrier = new Carrier({ links, clock, deliver: (key) => service.hold(key) })
    const service: KeyService = new KeyService({
      kmeId: config.id,
      kmeOfSae: saesOf(config),
      links: new Map(
        config.peers.map(({ id }) => [
          id,
          { pool: () => links.get(id)!.pool(), usable: () => links.get(id)!.usable },
        ]),
      ),
      routes: new Map(
        [...Map.groupBy(config.routes, ({ id }) => id)].map(([id, routes]) => [
          id,
          routes.map(({ via }) => [...via, id]),
        ]),
      ),
      random: (bytes) => new Uint8Array(randomBytes(bytes)),
      peers: {
        notify: (kmeId, notices) => void links.get(kmeId)?.tell({ kind: 'notices', notices }),
        carry: (route, key) => carrier.carry(route, key),
      },
      clock,
      limits: { ...KEY_LIMITS, keysMax: config.keysMax },
    })
    closers.push(() => service.close())
    const onControl = (from: string, message: Control) => {
      if (message.kind === 'notices') service.noticed(from, message.notices)
      else if (message.kind === 'carried') carrier.arrived(message)
      else if (message.kind === 'carry') {
        carrier.hear(from, message).catch((error: unknown) => {
          logger.error({ kme: from, error: errorMessage(error) }, 'a key could not be taken over')
        })
      }
    }
    for (const { id: peer, profile, pulsesPerSecond } of config.peers) {
      const link = await FibreLink.open({
        kmeId: config.id,
        peer,
        profile,
        pulsesPerSecond,
        kv,
        sealKey,
        keysMax: config.keysMax,
        runner,
        clock,
        logger,
        send: (kind, body) => interlink.send(peer, kind, body),
        drop: (why) => interlink.drop(peer, why),
        expected: () => service.expected,
        onControl: (message) => onControl(peer, message),
        onBlock: (result, report, health, before) => {
          events?.block?.(peer, result, report)
          const facts = { kme: peer, result, qber: report?.qber, secretBits: report?.secretBits }
          logger.debug(facts, 'a block is done')
          if (health === before) return
          const say = health === 'OK' ? 'info' : 'warn'
          logger[say]({ ...facts, from: before, to: health }, 'the state of a QKD link has changed')
          events?.health?.(peer, before, health, report)
        },
      })
      links.set(peer, link)
      closers.push(() => link.close())
    }
    /** One frame of a link after the other, since some are dealt with by writing to the disk. */
    const turns = new Map<string, Promise<void>>()
    const inTurn = (kmeId: string, run: () => Promise<void> | void) => {
      const turn = (turns.get(kmeId) ?? Promise.resolve()).then(run).catch((error: unknown) => {
        interlink.drop(kmeId, errorMessage(error))
      })
      turns.set(kmeId, turn)
    }
    const interlink: Interlink = await Interlink.start({
      kmeId: config.id,
      tls,
      listen: config.links,
      peers: config.peers.map(({ id, host, port }) => ({ kmeId: id, host, port })),
      handlers: {
        up: (kmeId, secret) => inTurn(kmeId, () => links.get(kmeId)!.up(secret)),
        down: (kmeId) => inTurn(kmeId, () => links.get(kmeId)!.down()),
        frame: (kmeId: string, frame: InterlinkFrame) => inTurn(kmeId, () => links.get(kmeId)!.frame(frame)),
      },
      debug: (facts, message) => logger.debug(facts, message),
    }).catch((error: unknown) => {
      throw portError('links', config.links, error)
    })
    closers.push(() => interlink.close())

    const api = createApi014({
      service,
      tls,
      saeId: config.saeId,
      extensionOf: (kmeId) => extension(links.get(kmeId)?.status()),
      kmeId: config.id,
      clock,
      logger,
      ...(rateLimits && { rateLimits }),
      onAnswer: (method, status) => events?.answer?.(method, status),
    })
    files.onChange((identity) => {
      interlink.renew(identity)
      // Of an HTTPS server; fastify's type says only that it is some server.
      ;(api.server as unknown as Server).setSecureContext({ ...identity, minVersion: 'TLSv1.2' })
    })
    const apiPort = await listen(api, 'api', config.api)
    closers.push(() => api.close())

    const kme: Kme = {
      id: config.id,
      apiPort,
      linksPort: interlink.port,
      adminPort: undefined,
      certificateEndsAt: () => files.endsAt,
      lookAtCertificates: () => files.look(),
      links: () => [...links.values()].map((link) => link.status()),
      saesOf: (kmeId) => config.peers.find(({ id }) => id === kmeId)?.saes ?? [],
      disturb: (kmeId, change) => links.get(kmeId)?.disturb(change) ?? false,
      restore: (kmeId) => links.get(kmeId)?.restore() ?? false,
      stop,
    }
    if (!config.admin) return kme
    const tokenFile = join(config.store, 'admin.token')
    await createFile(tokenFile, utf8(`${toHex(new Uint8Array(randomBytes(24)))}\n`), 0o600)
    const admin = createAdminApi(kme, (await readFile(tokenFile, 'utf8')).trim())
    const adminPort = await listen(admin, 'admin', config.admin)
    closers.push(() => admin.close())
    return { ...kme, adminPort }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Listens {
  listen(place: KmePlace): Promise<string>
  readonly server: { address(): unknown }
}

async function listen(app: Listens, what: string, place: KmePlace): Promise<number> {
  await app.listen({ host: place.host, port: place.port }).catch((error: unknown) => {
    throw portError(what, place, error)
  })
  return (app.server.address() as { port: number }).port
}

function portError(what: string, { host, port }: KmePlace, cause: unknown): KmeError {
  const message = `The KME cannot listen at ${host}:${port} ("${what}"): ${errorMessage(cause)}`
  return new KmeError('kme-port', message, {}, { cause })
}

function saesOf({ id, saes, peers, routes }: KmeConfig): Map<string, string> {
  const others = [...peers, ...routes].flatMap((kme) => kme.saes.map((sae) => [sae, kme.id] as const))
  return new Map([...others, ...saes.map((sae) => [sae, id] as const)])
}

function openTls({ ca, cert, key }: KmeConfig, clock: Clock, logger: Logger): Promise<TlsFiles> {
  return TlsFiles.open({ paths: { ca, cert, key }, clock, logger }).catch((cause: unknown) => {
    const message = `A certificate or key that kme.json names cannot be used: ${errorMessage(cause)}`
    throw new KmeError('kme-config', message, {}, { cause })
  })
}

/** What a real device lacks, so that clients can do without. */
function extension(status: FibreStatus | undefined): JsonObject {
  if (!status) return { qat_simulated: true }
  return {
    qat_link_state: status.health,
    ...(status.qber !== undefined && { qat_qber: status.qber }),
    qat_skr_bps: status.secretKeyRate,
    ...(status.lastBlockAt !== undefined && { qat_last_block_at: status.lastBlockAt }),
    qat_simulated: true,
  }
}
