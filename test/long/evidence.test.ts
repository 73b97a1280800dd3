/** Liars are named, by every honest node, to everyone; and nobody else is. */
import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FILES } from '../../node/folder.ts'
import type { CheckpointView, ClusterStatus, EntryView, QueryPage } from '../../node/service.ts'
import { type RunningNode, startNode } from '../../node/start.ts'
import { META } from '../../node/store/keys.ts'
import { openLevel } from '../../node/store/level.ts'
import { fromBase64, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { InvariantError } from '../../src/errors.ts'
import { sealBlock } from '../../src/ledger/block.ts'
import { EVIDENCE_EVENT_TYPE } from '../../src/ledger/evidence-event.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { encodeEntryBundle } from '../../src/merkle/tiles.ts'
import { printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { printNote } from '../../src/notes/note.ts'
import { qat } from '../cli/run-qat.ts'
import { event, startCluster, type TestCluster, until } from '../support/cluster.ts'
import { keyOf, type Liar, startLiar } from '../support/liar.ts'

const submit = (cluster: TestCluster, name: string) =>
  cluster.call(name, 'event.submit', { event: event(), wait: 'final', timeoutMs: 30_000 })

const files = async (cluster: TestCluster, name: string): Promise<string[]> => {
  const dir = join(cluster.folder(name), FILES.evidence)
  const names = await readdir(dir).catch(() => [])
  // A name with a dot before it is a file that is still being written.
  return names
    .filter((file) => !file.startsWith('.'))
    .map((file) => join(dir, file))
    .sort()
}

describe('a validator that lies', function () {
  this.timeout(120_000)
  const LIAR = 'delta'
  let cluster: TestCluster
  let liar: Liar
  let honest: string[]
  before(async () => {
    cluster = await startCluster()
    honest = cluster.names.filter((name) => name !== LIAR)
    for (let i = 0; i < 3; i++) await submit(cluster, 'alpha')
    await cluster.settled()
    await cluster.stop(LIAR)
    liar = await startLiar(cluster, LIAR)
  })
  after(async () => {
    await liar?.stop()
    await cluster?.close()
  })

  const allHave = (pieces: number, timeoutMs?: number) =>
    until(
      async () =>
        (await Promise.all(honest.map((name) => files(cluster, name)))).every(
          ({ length }) => length === pieces,
        ),
      timeoutMs,
    )
  const genesisOf = (name: string) => join(cluster.folder(name), FILES.genesis)
  const entries = async (name: string) =>
    (await cluster.call<QueryPage>(name, 'entry.query', { type: EVIDENCE_EVENT_TYPE, limit: 100 })).entries
  const allFinal = async (pieces: number) => {
    for (const name of honest) {
      await until(async () => {
        const found = await entries(name)
        return found.length === pieces && found.every(({ status }) => status === 'final')
      }, 40_000)
    }
  }

  it('and seals two blocks for one place is named by every honest node', async () => {
    const place = {
      ledger: cluster.ledger,
      height: 1_000,
      term: 1_000,
      proposer: LIAR,
      previous: new Uint8Array(32),
      firstIndex: 5_000,
    }
    const { nodeKey } = liar
    for (const time of [1_800_000_000_000, 1_800_000_000_001]) {
      const block = await sealBlock(
        { ...place, time },
        [],
        [{ keyid: keyId(nodeKey.publicKey), signer: nodeKey }],
      )
      await liar.publish('blocks', encodeEntryBundle([block.leaves.at(-1)!]))
    }
    await allHave(1)
  })

  it('and cosigns two trees is named by every honest node, however late it lies', async () => {
    await submit(cluster, 'bravo')
    await until(() =>
      honest.every(
        (name) => cluster.running(name).status().finalSize === cluster.running('alpha').status().size,
      ),
    )
    const { size, root, origin } = await cluster.call<CheckpointView>('alpha', 'checkpoint.get')
    const say = async (timestamp: number) => {
      for (const said of [fromBase64(root), new Uint8Array(32).fill(1)]) {
        const checkpoint = { origin, size, root: said }
        const line = await signCosignature(liar.cosigner, cosignerName(origin, LIAR), checkpoint, timestamp)
        const text = printCheckpoint(checkpoint)
        await liar.publish('cosignatures', utf8(printNote({ text, signatures: [line] })))
      }
    }
    // Gossip promises nobody that a message arrives, and what comes too late to count is told only once: so it lies on.
    let timestamp = 1_800_000_000
    await until(async () => {
      await say(timestamp++)
      return allHave(2, 2_000).then(
        () => true,
        () => false,
      )
    })
  })

  it('is convicted by files that anyone can check, and that only the operator can read', async () => {
    for (const name of honest) {
      for (const file of await files(cluster, name)) {
        assert.match(file, new RegExp(`/two-(seals|cosignatures)-${LIAR}-[0-9a-f]{32}\\.json$`))
        assert.equal((await stat(file)).mode & 0o777, 0o600)
        const { code, stdout, stderr } = await qat([
          'evidence',
          'verify',
          file,
          '--genesis',
          genesisOf('alpha'),
        ])
        assert.deepEqual([code, stderr], [0, ''])
        assert.match(stdout, new RegExp(`${LIAR} signed both`))
      }
    }
  })

  it('is convicted by entries of the ledger, each signed by the node that reports it', async () => {
    await allFinal(2 * honest.length)
    const found = await entries('alpha')
    assert.deepEqual(
      [...new Set(found.map(({ submitter }) => submitter))].sort(),
      honest.map((name) => `gateway-${name}`),
    )
    for (const { id } of found.slice(0, 3)) {
      const got = await qat(['get', id, '--rpc', cluster.url('charlie'), '--json'])
      const { code, json } = await qat(
        ['evidence', 'verify', '-', '--genesis', genesisOf('bravo'), '--json'],
        { stdin: got.stdout },
      )
      assert.equal(code, 0)
      assert.equal(json()[0]!.accused, LIAR)
    }
  })

  it('is shown by the status, and not reported again by a node that restarts', async () => {
    const { evidence } = await cluster.call<ClusterStatus>('alpha', 'cluster.status')
    assert.deepEqual(evidence.map(({ kind, accused }) => `${kind} ${accused}`).sort(), [
      `two-cosignatures ${LIAR}`,
      `two-seals ${LIAR}`,
    ])
    const { stdout } = await qat(['status', '--rpc', cluster.url('alpha')])
    assert.match(stdout, new RegExp(`^Evidence +2 pieces against ${LIAR}$`, 'm'))
    const listed = await qat(['evidence', 'list', '--dir', cluster.folder('alpha')])
    assert.equal(listed.stdout.match(new RegExp(LIAR, 'g'))?.length, 4)

    await cluster.stop('alpha')
    await cluster.start('alpha')
    await submit(cluster, 'alpha')
    await submit(cluster, 'alpha')
    assert.equal((await files(cluster, 'alpha')).length, 2)
    assert.equal((await entries('alpha')).length, 2 * honest.length)
    assert.equal((await cluster.call<ClusterStatus>('alpha', 'cluster.status')).evidence.length, 2)
  })

  it('does not stop the others', async () => {
    const entry = await cluster.call<EntryView>('charlie', 'event.submit', {
      event: event(),
      wait: 'final',
      timeoutMs: 30_000,
    })
    assert.equal(entry.status, 'final')
  })
})

describe('validators that stop, start and change their leader', function () {
  this.timeout(120_000)

  it('are never accused', async () => {
    const cluster = await startCluster()
    try {
      for (let round = 0; round < 2; round++) {
        const leader = cluster.running('alpha').status().leader!
        const others = cluster.names.filter((name) => name !== leader)
        const load = others.flatMap((name) => [submit(cluster, name), submit(cluster, name)])
        await cluster.stop(leader)
        await Promise.all(load)
        await submit(cluster, others[round % others.length]!)
        await cluster.start(leader)
        await cluster.settled()
      }
      for (const name of cluster.names) assert.deepEqual(await files(cluster, name), [])
    } finally {
      await cluster.close()
    }
  })
})

describe('a node whose tree is not the one that the quorum certifies', function () {
  this.timeout(60_000)

  it('stops, and says why, who signed both sides and what to do', async () => {
    const cluster = await startCluster()
    const liars = ['bravo', 'charlie', 'delta']
    let liar: Liar | undefined
    let node: RunningNode | undefined
    try {
      const { size, root, origin } = await cluster.call<CheckpointView>('alpha', 'checkpoint.get')
      await Promise.all(cluster.names.map((name) => cluster.stop(name)))
      // As if its blocks had been applied and not certified yet.
      const kv = await openLevel(join(cluster.folder('alpha'), FILES.store))
      await kv.write([{ key: META.certificate }], true)
      await kv.close()
      const stopped = Promise.withResolvers<unknown>()
      node = await startNode(cluster.folder('alpha'), { logLevel: 'silent', onFatal: stopped.resolve })
      liar = await startLiar(cluster, 'delta', ['alpha'])
      const say = async (said: Uint8Array, signers: readonly string[], asLog: boolean) => {
        const checkpoint = { origin, size, root: said }
        const signatures = []
        for (const name of signers) {
          const { signer } = await keyOf(cluster, name, FILES.cosignerKey)
          const names = asLog ? [origin, cosignerName(origin, name)] : [cosignerName(origin, name)]
          for (const key of names)
            signatures.push(await signCosignature(signer, key, checkpoint, 1_800_000_000))
        }
        await liar!.publish(
          'cosignatures',
          utf8(printNote({ text: printCheckpoint(checkpoint), signatures })),
        )
      }
      await say(fromBase64(root), liars.slice(1), false)
      await say(new Uint8Array(32).fill(1), liars, true)
      const error = (await stopped.promise) as InvariantError
      assert.equal(error.code, 'invariant')
      assert.match(
        error.message,
        /^The ledger has forked: .* Signed two sides.*: charlie, delta\. .*Keep its folder/,
      )

      const found = await files(cluster, 'alpha')
      assert.equal(found.length, 3)
      const reason = JSON.parse(await readFile(found.find((file) => /\/stopped-/.test(file))!, 'utf8'))
      assert.equal(reason.message, error.message)
      assert.deepEqual(reason.facts.accused.sort(), ['charlie', 'delta'])
      assert.equal(reason.facts.size, size)
      assert.ok(reason.facts.certificate.startsWith(`${origin}\n${size}\n`))
    } finally {
      await liar?.stop()
      await node?.stop()
      await cluster.close()
    }
  })
})
