/** What goes wrong around a node: wrong folders, strangers, garbage on every stream. It stays up and says so. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { FILES } from '../../node/folder.ts'
import { protocols } from '../../node/net/frames.ts'
import { FRAME, TOPICS } from '../../node/net/network.ts'
import type { Submission } from '../../node/service.ts'
import { startNode } from '../../node/start.ts'
import { printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { printNote } from '../../src/notes/note.ts'
import { envelopeJson, signedEvent, startCluster, type TestCluster, until } from '../support/cluster.ts'
import {
  gossipWith,
  keyOf,
  memberIdentity,
  type RawIdentity,
  type RawPeer,
  rawPeer,
} from '../support/liar.ts'

const code = (expected: string) => (error: unknown) => {
  const { code: found, message } = error as { code: string; message: string }
  assert.equal(found, expected)
  // One sentence or two, no stack in it.
  assert.match(message, /^[^\n]{20,400}$/)
  return true
}

describe('a node that cannot start says why', function () {
  this.timeout(30_000)
  let cluster: TestCluster
  let other: TestCluster | undefined
  before(async () => {
    cluster = await startCluster({ start: false })
  })
  after(async () => {
    await other?.close()
    await cluster?.close()
  })

  it('when the folder is no node folder', async () => {
    await assert.rejects(startNode(join(cluster.dir, 'nowhere')), code('folder-missing'))
  })

  it('when its configuration has an unknown field', async () => {
    const folder = join(cluster.dir, 'bad-config')
    await cp(cluster.folder('alpha'), folder, { recursive: true })
    const config = JSON.parse(await readFile(join(folder, FILES.config), 'utf8'))
    await writeFile(join(folder, FILES.config), JSON.stringify({ ...config, porrt: 1 }))
    await assert.rejects(startNode(folder), code('folder-damaged'))
  })

  it('when its genesis was tampered with', async () => {
    const folder = join(cluster.dir, 'bad-genesis')
    await cp(cluster.folder('alpha'), folder, { recursive: true })
    const genesis = await readFile(join(folder, FILES.genesis))
    genesis[genesis.length - 2_000]! ^= 1
    await writeFile(join(folder, FILES.genesis), genesis)
    await assert.rejects(startNode(folder))
  })

  it('when its key is not the one that genesis names', async () => {
    const folder = join(cluster.dir, 'bad-key')
    await cp(cluster.folder('alpha'), folder, { recursive: true })
    await cp(join(cluster.folder('bravo'), FILES.nodeKey), join(folder, FILES.nodeKey))
    await assert.rejects(startNode(folder), code('folder-damaged'))
  })

  it('when a second process has the folder, a port is taken, or the store is of another ledger', async () => {
    await cluster.start('alpha')
    await assert.rejects(startNode(cluster.folder('alpha'), { logLevel: 'silent' }), code('store-locked'))
    const twin = join(cluster.dir, 'twin')
    await cp(cluster.folder('alpha'), twin, { recursive: true, filter: (path) => !path.endsWith('/store') })
    await assert.rejects(startNode(twin, { logLevel: 'silent' }), code('port-in-use'))
    await cluster.stop('alpha')
    other = await startCluster({ start: false, ledger: 'other.example/ledger' })
    await rm(join(other.folder('alpha'), FILES.store), { recursive: true })
    await cp(join(cluster.folder('alpha'), FILES.store), join(other.folder('alpha'), FILES.store), {
      recursive: true,
    })
    await assert.rejects(startNode(other.folder('alpha'), { logLevel: 'silent' }), code('store-mismatch'))
  })
})

describe('a cluster among strangers and liars', function () {
  this.timeout(180_000)
  let cluster: TestCluster
  let genesisId: string
  before(async () => {
    cluster = await startCluster()
    genesisId = cluster.running('alpha').status().genesis
  })
  after(() => cluster?.close())

  const metric = async (name: string, pattern: RegExp): Promise<number> => {
    const text = await (await fetch(`${cluster.url(name)}/metrics`)).text()
    return text
      .split('\n')
      .filter((line) => pattern.test(line))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
  const addressOf = async (name: string) => {
    const { listen } = JSON.parse(await readFile(join(cluster.folder(name), FILES.config), 'utf8'))
    return multiaddr(`${listen[0]}`)
  }
  const peers: RawPeer[] = []
  const peer = async (identity: RawIdentity) => {
    const made = await rawPeer(identity)
    peers.push(made)
    return made
  }
  /** Speaks as a member whose own node is stopped. */
  const impostor = async (name: string) => peer(await memberIdentity(cluster, name))
  afterEach(() => Promise.all(peers.splice(0).map((made) => made.stop())))
  const stillWorks = async () => {
    const entry = envelopeJson(await signedEvent(cluster.submitter))
    const params = { entry, wait: 'final', timeoutMs: 30_000 }
    assert.equal((await cluster.call<Submission>('alpha', 'entry.submit', params)).status, 'final')
  }

  it('turns away a peer that is no member, and counts it', async () => {
    const stranger = await peer({
      ...(await memberIdentity(cluster, 'bravo')),
      privateKey: await generateKeyPair('Ed25519'),
    })
    const before = await metric('alpha', /^qat_refused_peers_total/)
    const dialled = stranger.dial(await addressOf('alpha')).then(async (connection) => {
      // The refusal may come only after the dialler's side of the handshake is done.
      await until(() => connection.status !== 'open')
      throw new Error('closed')
    })
    await assert.rejects(dialled)
    await until(async () => (await metric('alpha', /^qat_refused_peers_total/)) > before)
    await stranger.stop()
    await stillWorks()
  })

  it('drops a member that sends garbage on any stream, and goes on', async () => {
    // Only a leader looks into the entries that others forward, so it is the leader who is lied to.
    const target = cluster.running('alpha').status().leader!
    const absent = cluster.names.find((name) => name !== 'alpha' && name !== target)!
    await cluster.stop(absent)
    const names = protocols(genesisId)
    const garbage = [
      Uint8Array.of(),
      Uint8Array.of(0),
      Uint8Array.of(FRAME.raft),
      Uint8Array.of(FRAME.raft, 1, 5, 0, 0, 0, 0, 0, 0, 0, 9),
      Uint8Array.of(FRAME.forward, 0, 3, 1, 2, 3),
      Uint8Array.of(FRAME.forwardReply, 0x7b),
      new Uint8Array(100_000).fill(0xff),
    ]
    for (const bytes of garbage) {
      const liar = await impostor(absent)
      const connection = await liar.dial(await addressOf(target))
      const stream = await connection.newStream(names.frames)
      await lpStream(stream)
        .write(bytes)
        .catch(() => {})
      await until(() => connection.status !== 'open', 20_000).catch(() => {})
      assert.notEqual(connection.status, 'open', `frame ${bytes.slice(0, 4)}`)
      await liar.stop()
    }
    assert.ok((await metric(target, /^qat_peer_misbehaviour_total/)) >= garbage.length)

    const liar = await impostor(absent)
    const connection = await liar.dial(await addressOf(target))
    for (const bytes of [Uint8Array.of(), Uint8Array.of(0x7b), new TextEncoder().encode('{"from":-1}')]) {
      const stream = await connection.newStream(names.request)
      const lp = lpStream(stream)
      await lp.write(bytes)
      await assert.rejects(lp.read({ signal: AbortSignal.timeout(5_000) }))
    }
    const rejected = await metric(target, /^qat_gossip_messages_total.*reject/)
    await gossipWith(liar, String(await addressOf(target)), TOPICS.map(names.topic))
    for (const topic of TOPICS) {
      await liar.services.pubsub.publish(names.topic(topic), new TextEncoder().encode(`garbage on ${topic}`))
    }
    await until(
      async () => (await metric(target, /^qat_gossip_messages_total.*reject/)) >= rejected + TOPICS.length,
    )
    // Checkpoints of absurd sizes, well signed by one member: they must not push out those of the others.
    const { signer: cosigner } = await keyOf(cluster, absent, FILES.cosignerKey)
    const accepted = await metric(target, /^qat_gossip_messages_total.*cosignatures/)
    for (let i = 0; i < 12; i++) {
      const checkpoint = { origin: cluster.ledger, size: 1_000_000 + i, root: new Uint8Array(32) }
      const seconds = Math.floor(Date.now() / 1_000)
      const line = await signCosignature(cosigner, `${cluster.ledger}/${absent}`, checkpoint, seconds)
      const note = printNote({ text: printCheckpoint(checkpoint), signatures: [line] })
      await liar.services.pubsub.publish(names.topic('cosignatures'), new TextEncoder().encode(note))
    }
    await until(
      async () => (await metric(target, /^qat_gossip_messages_total.*cosignatures/)) >= accepted + 12,
    )
    await liar.stop()
    await stillWorks()
    await cluster.start(absent)
    await cluster.settled()
  })

  it('keeps serving after requests that are no requests', async () => {
    const post = (body: string, type = 'application/json') =>
      fetch(`${cluster.url('bravo')}/rpc`, { method: 'POST', body, headers: { 'content-type': type } })
    assert.equal((await (await post('{"jsonrpc":')).json()).error.code, -32700)
    assert.equal((await (await post('{"jsonrpc":"2.0","id":1,"method":"nope"}')).json()).error.code, -32601)
    assert.equal((await post('x'.repeat(5_000_000))).status, 413)
    assert.equal((await post('a=b', 'application/x-www-form-urlencoded')).status, 415)
    await stillWorks()
  })
})

describe('encrypted keys', function () {
  this.timeout(30_000)

  it('open with the passphrase, and say what is missing without it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'qat-test-'))
    const cluster = await startCluster({ start: false, passphrase: 'correct horse' })
    try {
      const folder = cluster.folder('alpha')
      await assert.rejects(startNode(folder, { logLevel: 'silent' }), code('key-file-passphrase'))
      await assert.rejects(
        startNode(folder, { logLevel: 'silent', passphrase: 'wrong' }),
        code('key-file-passphrase'),
      )
      const node = await startNode(folder, { logLevel: 'silent', passphrase: 'correct horse' })
      await node.stop()
    } finally {
      await cluster.close()
      await rm(dir, { recursive: true, force: true })
    }
  })
})
