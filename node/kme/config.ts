/**
 * The file that describes one KME, `kme.json`: the same for one inside a node and for `qat kme`. Paths in it are
 * relative to its folder.
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { errorMessage, QatError } from '../../src/errors.ts'
import { array, count, fields, type Json, object, oneOf, parseJson, text, texts } from '../../src/json.ts'
import { PROFILE_NAMES, type ProfileName } from '../../src/qkd/profile.ts'
import { SAE_ID_SOURCES, type SaeIdSource } from './sae-id.ts'

export class KmeError extends QatError<'kme-config' | 'kme-port'> {}

export interface KmePlace {
  readonly host: string
  readonly port: number
}

export interface KmePeer {
  readonly id: string
  /** Where its links listen. */
  readonly host: string
  readonly port: number
  /** Of the fibre between the two; the one of the KME with the smaller id counts. */
  readonly profile: ProfileName
  /** Of the simulated source, in place of the profile's: blocks come that much faster and cost as much to compute. */
  readonly pulsesPerSecond?: number
  /** Applications beside that KME. */
  readonly saes: readonly string[]
}

export interface KmeRoute {
  /** A KME without a fibre to this one. */
  readonly id: string
  /** The KMEs between, from here to there. Each of them sees the keys. */
  readonly via: readonly string[]
  readonly saes: readonly string[]
}

export interface KmeConfig {
  readonly id: string
  /** ETSI GS QKD 014, for applications. */
  readonly api: KmePlace
  /** For other KMEs. */
  readonly links: KmePlace
  /** For whoever plays with the simulated fibres; absent if nobody may. */
  readonly admin?: KmePlace
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly saeId: SaeIdSource
  /** Own applications. */
  readonly saes: readonly string[]
  readonly peers: readonly KmePeer[]
  readonly routes: readonly KmeRoute[]
  /** Folder of what is kept. */
  readonly store: string
  /** Keys of one link that are kept. */
  readonly keysMax: number
}

export const KEYS_MAX = 4_096
const PULSES_PER_SECOND_MIN = 100_000
const PULSES_PER_SECOND_MAX = 1_000_000_000
const CONFIG_BYTES_MAX = 262_144
const NAME_BYTES_MAX = 63
const KMES_MAX = 64

/** Throws KmeError `kme-config`. */
export async function readKmeConfig(path: string): Promise<KmeConfig> {
  try {
    return kmeConfigOf(parseJson(await readFile(path), CONFIG_BYTES_MAX), dirname(resolve(path)))
  } catch (cause) {
    const message = `${path} describes no KME: ${errorMessage(cause)}`
    throw new KmeError('kme-config', message, { path }, { cause })
  }
}

export function kmeConfigOf(value: Json, dir: string): KmeConfig {
  const config = fields(
    value,
    'kme.json',
    ['id', 'api', 'links', 'ca', 'cert', 'key', 'saes', 'peers', 'store'],
    ['admin', 'saeId', 'routes', 'keysMax'],
  )
  const path = (of: Json | undefined, what: string) => resolve(dir, text(of, what, 4_096))
  const keysMax = config.keysMax === undefined ? KEYS_MAX : count(config.keysMax, '"keysMax"')
  if (keysMax < 2 || keysMax > KEYS_MAX) {
    throw new KmeError('kme-config', `"keysMax" is a number from 2 to ${KEYS_MAX}.`)
  }
  return {
    id: name(config.id, '"id"'),
    api: place(config.api, '"api"'),
    links: place(config.links, '"links"'),
    ...(config.admin !== undefined && { admin: place(config.admin, '"admin"') }),
    ca: path(config.ca, '"ca"'),
    cert: path(config.cert, '"cert"'),
    key: path(config.key, '"key"'),
    saeId: config.saeId === undefined ? 'san-uri' : oneOf(config.saeId, '"saeId"', SAE_ID_SOURCES),
    saes: names(config.saes, '"saes"'),
    peers: array(config.peers, '"peers"', 0, KMES_MAX).map((peer) => {
      const known = fields(peer, 'A peer', ['id', 'host', 'port', 'profile', 'saes'], ['pulsesPerSecond'])
      return {
        id: name(known.id, '"id"'),
        ...place({ host: known.host!, port: known.port! }, 'A peer'),
        profile: oneOf(known.profile, '"profile"', PROFILE_NAMES),
        ...(known.pulsesPerSecond !== undefined && { pulsesPerSecond: pulseRate(known.pulsesPerSecond) }),
        saes: names(known.saes, '"saes"'),
      }
    }),
    routes: array(config.routes ?? [], '"routes"', 0, KMES_MAX).map((route) => {
      const known = fields(route, 'A route', ['id', 'via', 'saes'])
      return { id: name(known.id, '"id"'), via: names(known.via, '"via"'), saes: names(known.saes, '"saes"') }
    }),
    store: path(config.store, '"store"'),
    keysMax,
  }
}

function pulseRate(value: Json): number {
  const rate = count(value, '"pulsesPerSecond"')
  if (rate >= PULSES_PER_SECOND_MIN && rate <= PULSES_PER_SECOND_MAX) return rate
  throw new KmeError('kme-config', '"pulsesPerSecond" is from 10^5 to 10^9.')
}

function place(value: Json | undefined, what: string): KmePlace {
  const { host, port } = fields(object(value, what), what, ['host', 'port'])
  return { host: text(host, '"host"', 255), port: count(port, '"port"') }
}

function name(value: Json | undefined, what: string): string {
  return text(value, what, NAME_BYTES_MAX)
}

function names(value: Json | undefined, what: string): string[] {
  return texts(value, what, 0, KMES_MAX, NAME_BYTES_MAX)
}
