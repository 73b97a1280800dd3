/**
 * The connection encrypter `/qat/qkd-noise/1.0.0` of libp2p: stock Noise, which proves PeerIds; inside it the key
 * agreement and the records of a LinkSession. An attacker must break both layers; stock Noise falls to a quantum
 * computer, the inner one does not. Nothing else is offered to peers, so there is nothing to fall back to.
 */
import type { ConnectionEncrypter, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import { type MessageStream, type PeerId, serviceCapabilities } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import type { SignatureSuite, Signer } from '../../../src/crypto/suite.ts'
import type { Clock } from '../../clock.ts'
import { type KeyProvider, QkdError } from '../../qkd/key-provider.ts'
import { type LinkPeer, refusalOf } from './handshake.ts'
import { PROTOCOL } from './key-schedule.ts'
import { LinkStream } from './link-stream.ts'
import { encodeHandshake, type LinkPolicy } from './messages.ts'
import { bareFrame, type LinkEvent, LinkSession, type RekeyLimits } from './session.ts'

export interface QkdNoiseOptions {
  readonly name: string
  readonly signer: Signer
  readonly verify: SignatureSuite['verify']
  readonly policy: LinkPolicy
  readonly keys: KeyProvider | undefined
  readonly limits: RekeyLimits
  readonly clock: Clock
  readonly random: (bytes: number) => Uint8Array
  readonly onEvent: (event: LinkEvent) => void
}

export interface QkdNoise {
  /** For libp2p's `connectionEncrypters`. */
  readonly encrypter: (components: NoiseComponents) => ConnectionEncrypter
  /** Open links. */
  links(): LinkSession[]
}

/** Told how far inbound connections get: that the other end speaks this protocol, and that its PeerId is proved. */
export interface InboundWatch {
  spoke(connection: MessageStream): void
  known(connection: MessageStream): void
}

type NoiseComponents = Parameters<ReturnType<typeof noise>>[0] & { readonly peerId: PeerId }

/** Unfinished key agreements that others began, in all; each peer may have one. */
const PENDING_MAX = 32
/** What libp2p gives an inbound connection; a dial has less, and its own signal. */
const OPEN_MS = 9_000

/**
 * @param memberOf who the peer of this PeerId is, if it may connect at all
 * @param onStranger told of the PeerId of each who may not
 */
export function createQkdNoise(
  options: QkdNoiseOptions,
  memberOf: (peerId: string) => LinkPeer | undefined,
  onStranger: (peerId: string) => void,
  watch?: InboundWatch,
): QkdNoise {
  const open = new Set<LinkSession>()
  const pending = new Set<string>()

  const secure = async (
    role: 'initiator' | 'responder',
    self: string,
    inner: SecuredConnection,
    signal: AbortSignal,
  ): Promise<SecuredConnection> => {
    const peerId = inner.remotePeer.toString()
    const stream = new LinkStream(inner.connection)
    const session = new LinkSession({
      ...options,
      role,
      self: { peerId: self, name: options.name, signer: options.signer },
      peer: () => memberOf(peerId),
      send: (bytes) => stream.write(bytes),
      deliver: (content) => stream.deliver(content),
      fail: (error) => stream.abort(error instanceof Error ? error : new Error(String(error))),
      onEvent: (event) => {
        if (event.kind === 'closed') open.delete(session)
        options.onEvent(event)
      },
    })
    try {
      stream.start(session)
      await session.open(AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]))
      open.add(session)
      return { ...inner, connection: stream }
    } catch (error) {
      session.close()
      options.onEvent({
        kind: 'refused',
        peer: session.peerName,
        dialled: role === 'initiator',
        code: refusalOf(error),
      })
      await goodbye(inner.connection)
      throw error
    }
  }

  const encrypter = (components: NoiseComponents): ConnectionEncrypter => {
    const stock = noise()(components)
    const self = components.peerId.toString()
    return {
      protocol: PROTOCOL,
      async secureOutbound(connection: MessageStream, given?: SecureConnectionOptions) {
        const inner = await stock.secureOutbound(connection, given)
        return secure('initiator', self, inner, given?.signal ?? NEVER)
      },
      async secureInbound(connection: MessageStream, given?: SecureConnectionOptions) {
        watch?.spoke(connection)
        const inner = await stock.secureInbound(connection, given)
        watch?.known(connection)
        const peerId = inner.remotePeer.toString()
        const peer = memberOf(peerId)
        const refused = !peer
          ? 'policy'
          : pending.has(peerId) || pending.size >= PENDING_MAX
            ? 'busy'
            : undefined
        if (refused) {
          if (peer) options.onEvent({ kind: 'refused', peer: peer.name, dialled: false, code: refused })
          else onStranger(peerId)
          inner.connection.send(bareFrame(encodeHandshake({ kind: 'error', code: refused })))
          await goodbye(inner.connection)
          throw new QkdError(refused, 'The peer is no member, or opens too many links at once.')
        }
        pending.add(peerId)
        try {
          return await secure('responder', self, inner, given?.signal ?? NEVER)
        } finally {
          pending.delete(peerId)
        }
      },
      [Symbol.toStringTag]: '@qat/qkd-noise',
      [serviceCapabilities]: ['@libp2p/connection-encryption'],
    } as ConnectionEncrypter
  }
  return { encrypter, links: () => [...open] }
}

const NEVER = new AbortController().signal

/** Lets the reason for a refusal reach the peer before the connection goes. */
async function goodbye(connection: MessageStream): Promise<void> {
  await connection
    .close({ signal: AbortSignal.timeout(1_000) })
    .catch((error: Error) => connection.abort(error))
}
