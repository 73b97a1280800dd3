/**
 * The key agreement of a link, inside finished Noise: for its first keys, and again for each later ones.
 *
 *     initiator (who dialled)                 responder
 *      ├── hello: nonce, ML-KEM key ──────────▶│
 *      │◀── reply: nonce, ciphertext, signature ┤
 *      │  a QKD key from the KME
 *      ├── key: its name, signature ──────────▶│  the same key from the other KME
 *      │◀──────────────────────── accept: MAC ─┤
 *      ├── finish: MAC ───────────────────────▶│
 *
 * Signatures are ML-DSA by the keys of the membership, over all that was said before and both PeerIds, and come before
 * either KME is asked: nobody but members can use up QKD keys. Each ends in keys on both sides or in an error.
 */
import { equalBytes, utf8 } from '../../../src/bytes.ts'
import { Writer } from '../../../src/codec/writer.ts'
import type { PublicKey, SignatureSuite, Signer } from '../../../src/crypto/suite.ts'
import { encapsulateTo, generateKemKeyPair } from '../../crypto/ml-kem.ts'
import { type KeyProvider, QkdError, type QkdKey } from '../../qkd/key-provider.ts'
import { confirmation, type LinkSecrets, linkSecrets, transcriptHash, wipeSecrets } from './key-schedule.ts'
import {
  decodeHandshake,
  encodeHandshake,
  type HandshakeMessage,
  type LinkPolicy,
  MAC_BYTES,
  type MessageOf,
  NONCE_BYTES,
  REFUSALS,
  type Refusal,
} from './messages.ts'

export const QKD_KEY_BITS = 256
/** Ordered frames to the peer and from it. */
export interface FrameChannel {
  send(frame: Uint8Array): void
  receive(signal: AbortSignal): Promise<Uint8Array>
}

export interface LinkPeer {
  readonly peerId: string
  /** The member's name, which is its SAE id. */
  readonly name: string
  /**
   * By the membership record. Absent while that is not known here: at a node that joins, of those whose addresses it
   * was given, and of former members. Noise has proved their PeerIds; no signature is asked of them.
   */
  readonly nodeKey?: PublicKey
}

export interface HandshakeOptions {
  readonly channel: FrameChannel
  readonly signal: AbortSignal
  readonly self: { readonly peerId: string; readonly name: string; readonly signer: Signer }
  readonly peer: LinkPeer
  readonly verify: SignatureSuite['verify']
  readonly random: (bytes: number) => Uint8Array
  readonly policy: LinkPolicy
  /** Absent if no KME stands beside this node. */
  readonly keys: KeyProvider | undefined
  /** For what the KME may take in all. */
  readonly kmeMs: number
  /** From the agreement before this one; empty at first. */
  readonly chain: Uint8Array
  /** Called before the last message of this side is sent: what comes next may be sealed by these. */
  readonly agreed: (secrets: LinkSecrets) => void
}

export interface Agreement {
  readonly secrets: LinkSecrets
  /** Whether a QKD key went into them. */
  readonly qkd: boolean
  /** Why none did. */
  readonly lack?: Refusal
}

/** Rejects with QkdError, FormatError, or what the channel rejects with; both sides then have nothing. */
export function initiate(options: HandshakeOptions): Promise<Agreement> {
  return orRefuse(options, async () => {
    const { self, peer, policy, keys } = options
    const talk = new Talk(options, self.peerId, peer.peerId)
    const kem = generateKemKeyPair()
    const nonce = options.random(NONCE_BYTES)
    const hasKeys = keys !== undefined
    talk.say({ kind: 'hello', sae: self.name, nonce, policy, hasKeys, kemKey: kem.publicKey })
    const reply = await talk.hear('reply')
    await talk.checkSigned(reply, 'responder')
    mustBe(peer, reply.sae)
    const mayLack = options.chain.length > 0 || (policy === 'prefer' && reply.policy === 'prefer')
    const sought = await withoutIf(options, mayLack, reply.hasKeys ? keys : undefined, (from, within) =>
      from.getKey(peer.name, QKD_KEY_BITS, within),
    )
    const secret = kem.decapsulate(reply.ciphertext)
    let qkd: Uint8Array = sought.key?.bytes ?? new Uint8Array(0)
    try {
      await talk.saySigned({ kind: 'key', keyId: sought.key?.id ?? '', signature: NO_SIGNATURE }, 'initiator')
      const accept = await talk.hear('accept')
      if (sought.key && !accept.found) {
        if (!mayLack)
          throw new QkdError('policy', 'The peer would go on without a QKD key; this node may not.')
        qkd.fill(0)
        qkd = new Uint8Array(0)
      }
      const transcript = talk.hash(acceptedBytes(accept.found))
      const secrets = linkSecrets(transcript, { kem: secret, qkd, chain: options.chain })
      talk.mustMatch(confirmation(secrets, 'responder', transcript), accept.mac, secrets)
      options.agreed(secrets)
      talk.say({ kind: 'finish', mac: confirmation(secrets, 'initiator', transcript) })
      if (qkd.length > 0) return { secrets, qkd: true }
      return { secrets, qkd: false, lack: sought.lack ?? 'key-not-found' }
    } finally {
      secret.fill(0)
      qkd.fill(0)
      sought.key?.bytes.fill(0)
    }
  })
}

/** As `initiate`, for the other side. */
export function respond(options: HandshakeOptions): Promise<Agreement> {
  return orRefuse(options, async () => {
    const { self, peer, policy, keys } = options
    const talk = new Talk(options, peer.peerId, self.peerId)
    const hello = await talk.hear('hello')
    mustBe(peer, hello.sae)
    const { ciphertext, secret } = encapsulateTo(hello.kemKey)
    let qkd: Uint8Array = new Uint8Array(0)
    try {
      const nonce = options.random(NONCE_BYTES)
      const greeting = { sae: self.name, nonce, policy, hasKeys: keys !== undefined }
      await talk.saySigned({ kind: 'reply', ...greeting, ciphertext, signature: NO_SIGNATURE }, 'responder')
      const named = await talk.hear('key')
      await talk.checkSigned(named, 'initiator')
      const mayLack = options.chain.length > 0 || (policy === 'prefer' && hello.policy === 'prefer')
      // Whose signature nobody has checked gets no key out of the KME.
      const from = named.keyId === '' || !peer.nodeKey ? undefined : keys
      const sought = await withoutIf(options, mayLack, from, (provider, within) =>
        provider.getKeyById(peer.name, named.keyId, QKD_KEY_BITS, within),
      )
      qkd = sought.key?.bytes ?? qkd
      const found = sought.key !== undefined
      const transcript = talk.hash(acceptedBytes(found))
      const secrets = linkSecrets(transcript, { kem: secret, qkd, chain: options.chain })
      options.agreed(secrets)
      talk.say({ kind: 'accept', found, mac: confirmation(secrets, 'responder', transcript) })
      const finish = await talk.hear('finish')
      talk.mustMatch(confirmation(secrets, 'initiator', transcript), finish.mac, secrets)
      return found ? { secrets, qkd: true } : { secrets, qkd: false, lack: sought.lack ?? 'no-keys' }
    } finally {
      secret.fill(0)
      qkd.fill(0)
    }
  })
}

const NO_SIGNATURE = new Uint8Array(0)

interface Sought {
  readonly key?: QkdKey
  readonly lack?: Refusal
}

/** A QKD key, or why there is none. Rejects if there must be one. */
async function withoutIf(
  { signal, kmeMs }: Pick<HandshakeOptions, 'signal' | 'kmeMs'>,
  mayLack: boolean,
  keys: KeyProvider | undefined,
  ask: (keys: KeyProvider, signal: AbortSignal) => Promise<QkdKey>,
): Promise<Sought> {
  try {
    if (!keys)
      throw new QkdError('no-keys', 'There is no QKD key for this link, and the link may not be without.')
    const key = await ask(keys, AbortSignal.any([signal, AbortSignal.timeout(kmeMs)]))
    if (8 * key.bytes.length !== QKD_KEY_BITS) {
      throw new QkdError('kme-answer', `The KME gave a key of another size than ${QKD_KEY_BITS} bits.`)
    }
    return { key }
  } catch (error) {
    if (!mayLack) throw error
    return { lack: refusalOf(error) }
  }
}

function mustBe(peer: LinkPeer, sae: string): void {
  if (sae !== peer.name) {
    throw new QkdError('sae-mismatch', `${peer.name} gives the SAE id ${sae}, which is not its own.`)
  }
}

/** The part of `accept` that is hashed; its MAC rests on the hash. */
function acceptedBytes(found: boolean): Uint8Array {
  return encodeHandshake({ kind: 'accept', found, mac: new Uint8Array(MAC_BYTES) })
}

/** One side of the conversation, and all that was said so far. */
class Talk {
  readonly #options: HandshakeOptions
  readonly #said: Uint8Array[]

  constructor(options: HandshakeOptions, initiator: string, responder: string) {
    this.#options = options
    this.#said = [utf8(initiator), utf8(responder)]
  }

  say(message: HandshakeMessage): void {
    const frame = encodeHandshake(message)
    this.#said.push(frame)
    this.#options.channel.send(frame)
  }

  async saySigned(message: MessageOf<'reply' | 'key'>, role: 'initiator' | 'responder'): Promise<void> {
    const signature = await this.#options.self.signer.sign(this.#signedBytes(message, role))
    this.say({ ...message, signature })
  }

  async hear<K extends HandshakeMessage['kind']>(kind: K): Promise<MessageOf<K>> {
    const { channel, signal } = this.#options
    const frame = (await channel.receive(signal)).slice()
    const message = decodeHandshake(frame)
    if (message.kind === 'error') throw refusedBy(this.#options.peer, message.code)
    if (message.kind !== kind) throw new QkdError('handshake', `Expected "${kind}", heard "${message.kind}".`)
    if (kind !== 'accept' && kind !== 'finish') this.#said.push(frame)
    return message as MessageOf<K>
  }

  /** That the message just heard is signed by the peer's key. */
  async checkSigned(message: MessageOf<'reply' | 'key'>, role: 'initiator' | 'responder'): Promise<void> {
    const { peer, verify } = this.#options
    if (!peer.nodeKey) return
    const frame = this.#said.pop()!
    const signed = this.#signedBytes({ ...message, signature: NO_SIGNATURE }, role)
    this.#said.push(frame)
    if (await verify(peer.nodeKey, signed, message.signature)) return
    throw new QkdError('handshake', `${peer.name} signed by another key than the membership names for it.`)
  }

  mustMatch(expected: Uint8Array, mac: Uint8Array, secrets: LinkSecrets): void {
    if (equalBytes(expected, mac)) return
    wipeSecrets(secrets)
    throw new QkdError('handshake', `${this.#options.peer.name} has other keys than this node.`)
  }

  hash(last: Uint8Array): Uint8Array {
    return transcriptHash([...this.#said, last])
  }

  /** No other message that a node signs begins so. */
  #signedBytes(message: MessageOf<'reply' | 'key'>, role: 'initiator' | 'responder'): Uint8Array {
    return new Writer()
      .string(`quantum-audit-trail/qkd-noise ${role}`)
      .bytes(this.hash(encodeHandshake(message)))
      .finish()
  }
}

/** Tells the peer why, unless it was the peer who said so. */
async function orRefuse(options: HandshakeOptions, run: () => Promise<Agreement>): Promise<Agreement> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof QkdError && error.facts.byPeer)) {
      try {
        options.channel.send(encodeHandshake({ kind: 'error', code: refusalOf(error) }))
      } catch {
        // It is gone already.
      }
    }
    throw error
  }
}

export function refusalOf(error: unknown): Refusal {
  const code = error instanceof QkdError ? error.code : 'handshake'
  if (code === 'kme-refused' || code === 'kme-answer') return 'kme-unavailable'
  return REFUSALS.find((refusal) => refusal === code) ?? 'handshake'
}

function refusedBy(peer: LinkPeer, code: Refusal): QkdError {
  return new QkdError(code, `${peer.name} refuses the link: ${WHY[code]}.`, { byPeer: true })
}

const WHY: Record<Refusal, string> = {
  'no-keys': 'it has no QKD key left and may not do without',
  'key-not-found': 'its KME does not know the key',
  'kme-unavailable': 'its KME does not answer',
  'sae-mismatch': 'it knows this node by another SAE id',
  policy: 'one of the two nodes requires QKD keys',
  busy: 'it is opening too many links just now',
  handshake: 'it could not verify what this node sent',
}
