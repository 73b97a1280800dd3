/** Options that several commands share, and the strict reading of their values. */
import { isIP } from 'node:net'
import { InvalidArgumentError, Option } from 'commander'
import { parseDecimal } from '../../src/bytes.ts'
import { errorMessage } from '../../src/errors.ts'
import { checkMemberName, checkOrigin } from '../../src/ledger/names.ts'
import { LINK_POLICIES } from '../net/qkd-noise/messages.ts'
import { isLoopback } from '../rpc/host.ts'
import { STAGES, type Stage } from '../service.ts'
import { bearerToken, nodeAddress } from './connection.ts'

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/

export const DEFAULT_RPC = 'http://127.0.0.1:8480'

/** What every command understands, before or after its name. */
export interface GlobalOptions {
  readonly json?: true
}

export interface RpcOptions extends GlobalOptions {
  readonly rpc: string
}

/** For reads: asks the leader first. */
export function linearizableOption(): Option {
  return new Option(
    '--linearizable',
    'miss nothing that any node had ordered when this was asked; needs a leader',
  )
}

/** Where new nodes listen for JSON-RPC. */
export function rpcHostOption(): Option {
  return new Option('--rpc-host <address>', 'address to listen on for JSON-RPC').default(LOOPBACK)
}

const LOOPBACK = '127.0.0.1'

/** What there is to say of an address for JSON-RPC that others can reach; undefined if they cannot. */
export function rpcHostWarning(host: string): string | undefined {
  if (isLoopback(host)) return undefined
  return (
    `JSON-RPC on ${host} has no TLS: tokens, and what is sent and read, can be seen on the way, and everyone who reaches ` +
    'it reads the ledger. Put a proxy with TLS in front, and a firewall around both.'
  )
}

export function rpcOption(): Option {
  return new Option('--rpc <url>', 'JSON-RPC address of a node')
    .env('QAT_RPC')
    .default(DEFAULT_RPC)
    .argParser(nodeAddress('--rpc or QAT_RPC'))
}

export function tokenOption(): Option {
  return new Option('--token <token>', "bearer token for the node's gateway")
    .env('QAT_TOKEN')
    .argParser(bearerToken)
}

export const QKD_MODES = [...LINK_POLICIES, 'off'] as const
export type QkdMode = (typeof QKD_MODES)[number]

/** How a new ledger's nodes key their links. A simulation protects nothing, so real clusters do without unless asked. */
export function qkdOption(mode: QkdMode): Option {
  const what =
    'links keyed by a simulated KME in each node: never without QKD keys, if there are any, or not at all'
  return new Option('--qkd <mode>', what).choices(QKD_MODES).default(mode)
}

export function timeoutOption(seconds: number): Option {
  return new Option('--timeout <seconds>', 'how long to try and to wait in all')
    .default(seconds)
    .argParser(positiveSeconds)
}

export function waitOption(stage: Stage): Option {
  return new Option('--wait <stage>', 'return once the entry is this far').choices(STAGES).default(stage)
}

export function positiveSeconds(value: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : 0
  if (seconds <= 0 || seconds > 86_400) {
    throw new InvalidArgumentError('Expected a number of seconds, at most one day.')
  }
  return seconds
}

/** A reader of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = decimal(value)
    if (number === undefined || number < min || number > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
    }
    return number
  }
}

/** Milliseconds since 1970. */
export function instantMs(value: string): number {
  const ms = RFC_3339.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError('Expected an RFC 3339 time such as 2026-01-31T12:00:00Z.')
  }
  return ms
}

export function rfc3339(value: string): string {
  instantMs(value)
  return value
}

/** The name of a ledger, as genesis will hold it. */
export function ledgerOrigin(value: string): string {
  const expected = 'Expected a URL without scheme, spaces and "+": audit.example/payments.'
  // A verifier compares names byte by byte: what a URL may be spelled with or without would only mislead.
  if (/:\/\/|[?#\\]|^\/|\/$/.test(value)) throw new InvalidArgumentError(expected)
  try {
    return checkOrigin(value)
  } catch {
    throw new InvalidArgumentError(expected)
  }
}

/** A host name or an IP address, without brackets. */
export function hostName(value: string): string {
  const host = value.replace(/^\[(.*)\]$/, '$1')
  const name = /^(?!-)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(host) && !/^[0-9.]+$/.test(host)
  if (name || isIP(host) !== 0) return host
  throw new InvalidArgumentError('Expected a host name or an IP address.')
}

export function memberName(value: string): string {
  try {
    return checkMemberName(value)
  } catch (cause) {
    throw new InvalidArgumentError(errorMessage(cause))
  }
}

function decimal(value: string): number | undefined {
  try {
    return parseDecimal(value)
  } catch {
    return undefined
  }
}
