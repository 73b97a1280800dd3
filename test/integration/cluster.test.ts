/** Four real nodes in one process: ordering, proofs, crashes and refusals as a client sees them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DEFAULT_LIMITS } from '../../consensus/config.ts'
import { generateSeed } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { BundleFiles, EntryView, NodeStatus, QueryPage, Submission } from '../../node/service.ts'
import { fromBase64, fromHex, fromUtf8 } from '../../src/bytes.ts'
import { publicKeyToJwk } from '../../src/crypto/keys.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { parseExactJson } from '../../src/exact-json.ts'
import { bundleFromTexts } from '../../src/light/bundle.ts'
import { verifyBundle } from '../../src/light/verify.ts'
import { verifyConsistency, verifyInclusion } from '../../src/merkle/verify.ts'
import {
  envelopeJson,
  event,
  signedEvent,
  startCluster,
  type TestCluster,
  until,
} from '../support/cluster.ts'
import { describeShared } from '../support/shared.ts'

const refusal = (code: string) => (error: { data?: { code?: string } }) => error.data?.code === code

describe('four nodes', function () {
  this.timeout(60_000)
  let cluster: TestCluster
  before(async () => {
    cluster = await startCluster()
  })
  after(() => cluster?.close())

  const submit = (name: string, params: object) => cluster.call<Submission>(name, 'entry.submit', params)

  it('take an entry at any node and make it final at all of them', async () => {
    for (const name of cluster.names) {
      const entry = await signedEvent(cluster.submitter)
      const submission = await submit(name, { entry: envelopeJson(entry), wait: 'final' })
      assert.equal(submission.id, entry.id)
      assert.equal(submission.status, 'final')
      await cluster.settled()
      for (const other of cluster.names) {
        const found = await cluster.call<EntryView>(other, 'entry.get', { id: entry.id })
        assert.equal(found.index, submission.index)
        assert.equal(found.status, 'final')
        assert.deepEqual(found.entry, envelopeJson(entry))
        assert.equal(found.submitter, 'ci')
      }
    }
  })

  it('answer a linearizable read on every node, without waiting for what is not missing', async () => {
    const entry = await signedEvent(cluster.submitter)
    const { id } = await submit('alpha', { entry: envelopeJson(entry), wait: 'ordered' })
    for (const name of cluster.names) {
      const startedMs = performance.now()
      const found = await cluster.call<EntryView>(name, 'entry.get', { id, linearizable: true })
      assert.equal(found.id, id)
      assert.ok(performance.now() - startedMs < 5_000, `${name} took too long`)
    }
  })

  it('tell whoever was answered pending which entry has the event, when another node was quicker', async () => {
    const once = event()
    const answers = await Promise.all(
      cluster.names.map((name) =>
        cluster.call<Submission>(name, 'event.submit', { event: once, wait: 'pending' }),
      ),
    )
    await cluster.settled()
    const found = []
    for (const [i, { id }] of answers.entries()) {
      const params = { id, wait: 'final' }
      found.push(await cluster.call<Submission>(cluster.names[i]!, 'submission.status', params))
    }
    const recorded = found.find(({ duplicate }) => !duplicate)!
    for (const [i, submission] of found.entries()) {
      assert.equal(submission.index, recorded.index)
      const { id } = answers[i]!
      if (id === recorded.id) continue
      assert.deepEqual(submission, { ...recorded, duplicate: true })
      await assert.rejects(
        cluster.call(cluster.names[i]!, 'entry.get', { id }),
        (error: { data?: Record<string, unknown> }) => error.data?.recordedAs === recorded.id,
      )
    }
  })

  it('answer a repeated entry with the one recorded', async () => {
    const entry = envelopeJson(await signedEvent(cluster.submitter))
    const first = await submit('alpha', { entry, wait: 'final' })
    assert.deepEqual(await submit('bravo', { entry, wait: 'ordered' }), first)
  })

  it('answer a repeated event with the entry recorded, and other content under its id with a conflict', async () => {
    const data = '{"run":12345678901234567890,"z":-0,"p":1.10}'
    const { time: _, ...once } = event({ id: 'retry-1', data: parseExactJson(data, 100) })
    const first = await cluster.call<Submission>('alpha', 'event.submit', { event: once, wait: 'final' })
    await cluster.settled()
    for (const name of ['alpha', 'charlie']) {
      const again = await cluster.call<Submission>(name, 'event.submit', { event: once, wait: 'final' })
      assert.deepEqual(again, { ...first, duplicate: true })
    }
    const { entry } = await cluster.call<EntryView>('delta', 'entry.get', { id: first.id })
    assert.ok(fromUtf8(fromBase64(entry.payload as string)).includes(`"data":${data}`))
    const other = { ...once, data: { ok: false } }
    await assert.rejects(
      cluster.call('delta', 'event.submit', { event: other }),
      (error: { data?: Record<string, unknown> }) => {
        const { code, id, index } = error.data ?? {}
        assert.deepEqual({ code, id, index }, { code: 'event-conflict', id: first.id, index: first.index })
        return true
      },
    )
  })

  it('record one entry when the same event arrives at all nodes at once', async () => {
    const once = event({ id: 'race-1', subject: 'race' })
    const answers = await Promise.all(
      cluster.names.map((name) =>
        cluster.call<Submission>(name, 'event.submit', { event: once, wait: 'final' }),
      ),
    )
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1)
    const { entries } = await cluster.call<QueryPage>('alpha', 'entry.query', { subject: 'race' })
    assert.equal(entries.length, 1)
  })

  it('record who sent an event that the gateway signed', async () => {
    const { id } = await cluster.call<Submission>('bravo', 'event.submit', { event: event(), wait: 'final' })
    const found = await cluster.call<EntryView>('bravo', 'entry.get', { id })
    const payload = JSON.parse(Buffer.from(String(found.entry.payload), 'base64').toString())
    assert.equal(payload.authtype, 'api_key')
    assert.equal(payload.authid, 'tester')
    assert.equal(payload.ledger, cluster.ledger)
    assert.equal(found.submitter, 'gateway-bravo')
  })

  it('refuse what may not be recorded, each for its own reason', async () => {
    const stranger = opensslSuite.signer('ML-DSA-65', generateSeed())
    const cases: [string, object][] = [
      ['unknown-key', envelopeJson(await signedEvent(stranger))],
      [
        'not-permitted',
        envelopeJson(await signedEvent(cluster.submitter, { source: 'https://evil.example/x' })),
      ],
      [
        'wrong-ledger',
        envelopeJson(await signedEvent(cluster.submitter, { ledger: 'other.example/ledger' })),
      ],
    ]
    const good = envelopeJson(await signedEvent(cluster.submitter))
    const [signature] = good.signatures as { keyid: string; sig: string }[]
    const forged = Buffer.from(signature!.sig, 'base64')
    forged[100]! ^= 1
    cases.push(['bad-signature', { ...good, signatures: [{ ...signature, sig: forged.toString('base64') }] }])
    for (const [code, entry] of cases) {
      await assert.rejects(submit('charlie', { entry }), refusal(code), code)
    }
    const forbidden = { event: event({ type: 'org.other.type' }) }
    await assert.rejects(cluster.call('alpha', 'event.submit', forbidden), refusal('not-permitted'))
    const claimed = { event: event({ authid: 'root' }) }
    await assert.rejects(cluster.call('alpha', 'event.submit', claimed), refusal('bad-event'))
  })

  it('prove an entry to a verifier that has nothing but the files', async () => {
    const entry = await signedEvent(cluster.submitter)
    await submit('delta', { entry: envelopeJson(entry), wait: 'final' })
    await until(
      async () => (await cluster.call<EntryView>('alpha', 'entry.get', { id: entry.id })).status === 'final',
    )
    const files = await cluster.call<BundleFiles>('alpha', 'entry.prove', { id: entry.id })
    assert.equal(files.policy, cluster.policy)
    const bundle = bundleFromTexts({ ...files, policy: cluster.policy })
    const verdict = await verifyBundle(nobleSuite, bundle)
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.leafHash, entry.id)
    assert.ok(verdict.proves.cosigners.length >= 3)
    const { recorded, submitter, entrySignature } = verdict.proves
    const view = await cluster.call<EntryView>('bravo', 'entry.get', { id: entry.id })
    assert.deepEqual(
      [new Date(recorded!.time).toISOString(), recorded!.height, submitter!.name, entrySignature],
      [view.recorded, view.height, view.submitter, 'verified'],
    )
    assert.ok(files.entry.length + files.proof.length <= 24_576)
    assert.ok(files.records.length <= 32_768, `${files.records.length}`)
  })

  it('give inclusion and consistency proofs that hold', async () => {
    const entry = await signedEvent(cluster.submitter)
    const { index } = await submit('alpha', { entry: envelopeJson(entry), wait: 'final' })
    const checkpoint = await cluster.call<{ size: number; root: string }>('alpha', 'checkpoint.get')
    const root = new Uint8Array(Buffer.from(checkpoint.root, 'base64'))
    const hashes = async (method: string, params: object) =>
      (await cluster.call<{ hashes: string[] }>('alpha', method, params)).hashes.map((hash) =>
        fromHex(hash, 32),
      )
    const path = await hashes('proof.inclusion', { index, size: checkpoint.size })
    verifyInclusion({ index: index!, size: checkpoint.size, leafHash: entry.hash, path, root })
    const block = await cluster.call<{ size: number; root: string }>('bravo', 'block.get', { height: 1 })
    verifyConsistency({
      size1: block.size,
      size2: checkpoint.size,
      root1: fromHex(block.root, 32),
      root2: root,
      path: await hashes('proof.consistency', { from: block.size, to: checkpoint.size }),
    })
  })

  it('find entries by source, type, subject and time, page by page', async () => {
    const subject = 'paging'
    for (let i = 0; i < 5; i++) {
      await submit('alpha', {
        entry: envelopeJson(await signedEvent(cluster.submitter, { subject, type: `t${i % 2}` })),
      })
    }
    const ask = async (params: object) => {
      const page = await cluster.call<QueryPage & { next?: string }>('alpha', 'entry.query', {
        subject,
        ...params,
      })
      return { ids: page.entries.map(({ id }) => id), entries: page.entries, next: page.next }
    }
    const all = await ask({ order: 'asc' })
    assert.equal(all.ids.length, 5)
    assert.deepEqual((await ask({})).ids, all.ids.toReversed())
    const first = await ask({ order: 'asc', limit: 2 })
    assert.deepEqual(first.ids, all.ids.slice(0, 2))
    const second = await ask({ order: 'asc', limit: 3, cursor: first.next })
    assert.deepEqual(second.ids, all.ids.slice(2))
    assert.equal(second.next, undefined)
    assert.deepEqual((await ask({ type: 't1', order: 'desc' })).ids, [all.ids[3], all.ids[1]])
    assert.ok((await ask({ from: all.entries[4]!.recorded })).ids.includes(all.ids[4]!))
    assert.deepEqual((await ask({ from: '2999-01-01T00:00:00Z' })).ids, [])
  })

  it('go on without the leader, and take it back', async () => {
    const leader = cluster.running('alpha').status().leader!
    const [survivor] = cluster.names.filter((name) => name !== leader)
    await cluster.stop(leader)
    const entry = await signedEvent(cluster.submitter)
    const params = { entry: envelopeJson(entry), wait: 'final', timeoutMs: 30_000 }
    assert.equal((await submit(survivor!, params)).status, 'final')
    await cluster.start(leader)
    const size = await cluster.settled()
    assert.equal((await cluster.call<NodeStatus>(leader, 'node.status')).size, size)
    assert.equal((await cluster.call<EntryView>(leader, 'entry.get', { id: entry.id })).status, 'final')
  })

  it('bring back a node that missed more blocks than the leader keeps in memory', async function () {
    this.timeout(120_000)
    const leader = cluster.running('alpha').status().leader!
    const absent = cluster.names.find((name) => name !== leader)!
    await cluster.stop(absent)
    const height = () => cluster.running(leader).status().height
    const goal = height() + DEFAULT_LIMITS.memoryBlocks + 4
    while (height() < goal) {
      await submit(leader, { entry: envelopeJson(await signedEvent(cluster.submitter)), wait: 'ordered' })
    }
    await cluster.start(absent)
    await cluster.settled()
    assert.ok(cluster.running(absent).status().height >= goal)
  })

  describeShared('tools', 'the independent verifier', (tools) => {
    it('accepts what a node proves, and refuses it with one byte changed', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'qat-bundle-'))
      try {
        const entry = await signedEvent(cluster.submitter)
        await submit('alpha', { entry: envelopeJson(entry), wait: 'final' })
        const files = await cluster.call<BundleFiles>('alpha', 'entry.prove', { id: entry.id })
        await writeFile(join(dir, 'entry.dsse.json'), files.entry)
        await writeFile(join(dir, 'entry.tlog-proof'), files.proof)
        await writeFile(join(dir, 'policy'), cluster.policy)
        await writeFile(join(dir, 'keys.json'), JSON.stringify([publicKeyToJwk(cluster.submitter.publicKey)]))
        const judge = () => {
          const args = [
            fileURLToPath(new URL('verify-bundle.mjs', tools)),
            dir,
            '--keys',
            join(dir, 'keys.json'),
          ]
          return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as {
            ok: boolean
            entrySig: unknown
          }
        }
        const verdict = judge()
        assert.ok(verdict.ok)
        assert.equal(verdict.entrySig, true)
        await writeFile(join(dir, 'entry.dsse.json'), files.entry.replace('"payloadType"', '"payloadtype"'))
        assert.throws(judge)
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    })
  })
})
