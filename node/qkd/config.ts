/** How a node's links are keyed: the part `qkd` of node.json, and what the command line puts in its place. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { count, fields, type Json, oneOf, text } from '../../src/json.ts'
import { LINK_POLICIES, type LinkPolicy } from '../net/qkd-noise/messages.ts'
import { QkdError } from './key-provider.ts'

export interface QkdConfig {
  readonly mode: LinkPolicy
  /** Of the KME, by ETSI GS QKD 014: https://127.0.0.1:8580. */
  readonly server: string
  /** PEM files: the authority, and this node's client certificate with its key. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** kme.json of a simulated KME that runs inside this node; absent if the KME runs elsewhere. */
  readonly kme?: string
  /** With the mode `require`: how long a link may go on without a new QKD key; a day if not given. */
  readonly maxAgedSeconds?: number
}

export const MAX_AGED_SECONDS = 86_400

const PATH_BYTES_MAX = 4_096

/** Throws FormatError. */
export function readQkdConfig(value: Json): QkdConfig {
  const config = fields(value, '"qkd"', ['mode', 'server', 'ca', 'cert', 'key'], ['kme', 'maxAgedSeconds'])
  const path = (name: 'ca' | 'cert' | 'key' | 'kme') => text(config[name], `"${name}"`, PATH_BYTES_MAX)
  return {
    mode: oneOf(config.mode, '"mode"', LINK_POLICIES),
    server: text(config.server, '"server"', PATH_BYTES_MAX),
    ca: path('ca'),
    cert: path('cert'),
    key: path('key'),
    ...(config.kme !== undefined && { kme: path('kme') }),
    ...(config.maxAgedSeconds !== undefined && {
      maxAgedSeconds: count(config.maxAgedSeconds, '"maxAgedSeconds"'),
    }),
  }
}

/** What the KME is reached by. Paths are relative to the folder of the node. Throws QkdError `kme-unavailable`. */
export async function readCredentials(dir: string, config: QkdConfig) {
  const { server } = config
  if (!/^https:\/\//i.test(server) || !URL.canParse(server)) {
    throw new QkdError(
      'kme-unavailable',
      `"${server}" is no address of a KME. Give one as https://host:port.`,
    )
  }
  const paths = credentialPaths(dir, config)
  const read = async (file: string) =>
    readFile(file, 'utf8').catch((cause: unknown) => {
      const message = `${file} cannot be read; the node reaches its KME by it.`
      throw new QkdError('kme-unavailable', message, { path: file }, { cause })
    })
  return { url: server, ca: await read(paths.ca), cert: await read(paths.cert), key: await read(paths.key) }
}

export function credentialPaths(dir: string, { ca, cert, key }: QkdConfig) {
  return { ca: resolve(dir, ca), cert: resolve(dir, cert), key: resolve(dir, key) }
}
