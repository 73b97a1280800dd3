/**
 * What a node has to do with QKD: the KME inside it, if it has one, its client of that or of another KME, and who is told
 * of what happens to links: metrics, the ledger, and whoever asks for their status.
 */
import { resolve } from 'node:path'
import { errorMessage } from '../../src/errors.ts'
import type { JsonObject } from '../../src/json.ts'
import { boundedLog } from '../bounded-log.ts'
import type { Clock } from '../clock.ts'
import { readKmeConfig } from '../kme/config.ts'
import { type Kme, type KmeEvents, startKme } from '../kme/kme.ts'
import { TlsFiles } from '../kme/tls-files.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import type { LinkPolicy } from '../net/qkd-noise/messages.ts'
import {
  type LinkEvent,
  type LinkSession,
  type LinkState,
  REKEY_LIMITS,
  type RekeyLimits,
} from '../net/qkd-noise/session.ts'
import { type LinkChange, type LinkService, type LinkView, ServiceError } from '../service.ts'
import { shared } from '../shared.ts'
import { createClient014 } from './client-014.ts'
import { credentialPaths, MAX_AGED_SECONDS, type QkdConfig, readCredentials } from './config.ts'
import type { KeyProvider } from './key-provider.ts'
import type { LinkRecorder } from './link-recorder.ts'

export interface NodeQkdOptions {
  readonly name: string
  /** Folder of the node. */
  readonly dir: string
  /** Absent: links are keyed by ML-KEM alone, and nothing is recorded of them. */
  readonly config: QkdConfig | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface NodeQkd extends LinkService {
  readonly policy: LinkPolicy
  readonly limits: RekeyLimits
  readonly keys: KeyProvider | undefined
  readonly onEvent: (event: LinkEvent) => void
  /** From here on what happens is recorded, and open links are found. */
  attach(recorder: LinkRecorder, sessions: () => LinkSession[]): void
  close(): Promise<void>
}

/** For one question to the KME, when somebody asks for the status of links. */
const STATUS_MS = 2_000

/** Throws QatError if there is no KME where the configuration says. */
export async function openNodeQkd(options: NodeQkdOptions): Promise<NodeQkd> {
  const { name, dir, config, clock, metrics } = options
  const logger = boundedLog(options.logger, clock.elapsed)
  let recorder: LinkRecorder | undefined
  let sessions: () => LinkSession[] = () => []
  const linkOf = (peer: string) => [name, peer].toSorted().join('-')
  const peerOf = (kmeId: string) => kme?.saesOf(kmeId)[0] ?? kmeId

  const events: KmeEvents = {
    block(kmeId, result, report) {
      const link = linkOf(peerOf(kmeId))
      metrics.qkdBlocks.inc({ link, result })
      if (report) metrics.qkdLeaked.inc({ link }, report.leakedBits / 8)
    },
    health(kmeId, from, to, report) {
      const peer = peerOf(kmeId)
      // Both KMEs see the same block; the first of the two names records it.
      if (name < peer) {
        recorder?.record('qber', linkOf(peer), { peer, from, to, ...(report && { qber: report.qber }) })
      }
    },
    answer: (method, status) => {
      if (method === 'enc_keys') metrics.qkdEncKeys.inc({ code: String(status) })
      if (method === 'dec_keys') metrics.qkdDecKeys.inc({ code: String(status) })
    },
  }
  /** As recorded last, by peer: a connection that is made anew in the same state has changed nothing. */
  const states = new Map<string, LinkState>()
  const became = (peer: string, to: LinkState, facts: JsonObject) => {
    if (recorder === undefined || states.get(peer) === to) return
    states.set(peer, to)
    recorder.record('state', linkOf(peer), { peer, to, ...facts })
  }
  let kme: Kme | undefined
  let files: TlsFiles | undefined
  if (config?.kme !== undefined) {
    const kmeConfig = await readKmeConfig(resolve(dir, config.kme))
    kme = await startKme({ config: kmeConfig, clock, logger, events })
  }
  try {
    const credentials = config && (await readCredentials(dir, config))
    const client = credentials && createClient014({ ...credentials, clock, random: Math.random })
    if (config && client) {
      files = await TlsFiles.open({ paths: credentialPaths(dir, config), clock, logger })
      files.onChange((identity) => client.renew(identity))
    }
    const views = shared(() => viewsOf(name, sessions(), kme, client))
    metrics.onCollect(async () => {
      logger.flush()
      const ends = [files?.endsAt, kme?.certificateEndsAt()].filter((end) => end !== undefined)
      if (ends.length > 0) metrics.qkdCertificateEnd.set(Math.min(...ends) / 1_000)
      for (const view of await views()) {
        const labels = { link: view.link }
        metrics.qkdQber.set(labels, view.qber ?? 0)
        metrics.qkdRate.set(labels, view.secretKeyRate / 8)
        metrics.qkdPoolKeys.set(labels, view.keysStored)
        metrics.qkdLinkState.set(labels, STATE_NUMBERS[view.state])
        metrics.qkdKeyAge.set(labels, view.keyAgeSeconds ?? 0)
        if (view.efficiency !== undefined) metrics.qkdEfficiency.set(labels, view.efficiency)
      }
    })
    return {
      policy: config?.mode ?? 'prefer',
      limits: { ...REKEY_LIMITS, agedMs: 1_000 * (config?.maxAgedSeconds ?? MAX_AGED_SECONDS) },
      keys: client,
      attach(given, find) {
        if (config) recorder = given
        sessions = find
      },
      onEvent(event) {
        const { peer, dialled } = event
        if (event.kind === 'refused') {
          metrics.qkdRefusals.inc({ code: event.code })
          logger.warn({ peer, code: event.code }, 'a link to a peer was refused or given up')
        }
        if (event.kind === 'opened') metrics.qkdHandshake.observe(event.ms / 1_000)
        if (event.kind === 'rekeyed') metrics.qkdRekeys.inc({ kind: event.qkd ? 'qkd' : 'mlkem_only' })
        if (event.kind === 'state')
          logger.warn({ peer, from: event.from, to: event.to }, 'a link has changed its state')
        // Both ends see the same; who dialled records it.
        if (!dialled) return
        if (event.kind === 'opened') became(peer, event.state, { reason: 'opened' })
        if (event.kind === 'state') became(peer, event.to, { from: event.from, reason: event.reason })
      },
      links: views,
      disturb(link, change) {
        if (!kme) {
          throw new ServiceError(
            'unavailable',
            'No simulated KME runs in this node: there is no fibre to change.',
          )
        }
        const kmeId = kme.links().find(({ kme: id }) => [linkOf(peerOf(id)), peerOf(id)].includes(link))?.kme
        if (kmeId === undefined) {
          throw new ServiceError(
            'not-found',
            `This node has no fibre "${link}"; "qat qkd status" lists them.`,
          )
        }
        const told = change === 'restore' ? kme.restore(kmeId) : kme.disturb(kmeId, channelOf(change))
        if (!told)
          throw new ServiceError('unavailable', 'The KME that hosts this fibre cannot be reached just now.')
      },
      async close() {
        files?.close()
        client?.close()
        await kme?.stop()
      },
    }
  } catch (error) {
    logger.error({ error: errorMessage(error) }, 'the KME cannot be used')
    files?.close()
    await kme?.stop()
    throw error
  }
}

const STATE_NUMBERS = { NONE: 0, AGED: 1, FRESH: 2 } as const

function channelOf(change: Exclude<LinkChange, 'restore'>) {
  if ('eve' in change) return { eavesdropped: change.eve }
  return 'attenuation' in change ? { extraLossDb: change.attenuation } : { cut: true }
}

/** Every peer to which there is a connection, or a fibre. */
async function viewsOf(
  name: string,
  sessions: readonly LinkSession[],
  kme: Kme | undefined,
  keys: KeyProvider | undefined,
): Promise<LinkView[]> {
  // Of two connections to one peer the newer one counts.
  const byPeer = new Map(sessions.map((session) => [session.peerName, session]))
  const fibres = new Map(kme?.links().map((fibre) => [kme.saesOf(fibre.kme)[0] ?? fibre.kme, fibre]))
  const peers = [...new Set([...byPeer.keys(), ...fibres.keys()])].toSorted()
  return Promise.all(
    peers.map(async (peer) => {
      const session = byPeer.get(peer)
      const fibre = fibres.get(peer)
      const told =
        fibre || !keys
          ? undefined
          : await keys.status(peer, AbortSignal.timeout(STATUS_MS)).catch(() => undefined)
      const qber = fibre?.qber ?? told?.qber
      return {
        link: [name, peer].toSorted().join('-'),
        peer,
        connected: session !== undefined,
        state: session?.state ?? 'NONE',
        ...(session && { keyAgeSeconds: Math.round(session.keyAgeMs / 1_000) }),
        ...(qber !== undefined && { qber }),
        secretKeyRate: fibre?.secretKeyRate ?? told?.secretKeyRate ?? 0,
        keysStored: fibre?.keysStored ?? told?.storedKeys ?? 0,
        keysMax: fibre?.keysMax ?? told?.maxKeys ?? 0,
        fibre: fibre?.health ?? told?.linkState ?? 'NONE',
        ...(fibre && { lengthKm: fibre.lengthKm, blocks: fibre.blocks, leakedBits: fibre.leakedBits }),
        ...(fibre?.efficiency !== undefined && { efficiency: fibre.efficiency }),
        ...(fibre?.lastBlockAt !== undefined && { lastBlock: new Date(fibre.lastBlockAt).toISOString() }),
        simulated: fibre?.simulated ?? told?.simulated ?? false,
      }
    }),
  )
}
