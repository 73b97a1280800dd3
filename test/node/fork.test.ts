/** A node that is shown a certified chain which does not follow its own. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Driver } from '../../consensus/driver.ts'
import { systemClock } from '../../node/clock.ts'
import { Certifier } from '../../node/core/certifier.ts'
import { type Accusation, EvidenceCollector } from '../../node/core/evidence.ts'
import { Pool } from '../../node/core/pool.ts'
import { Puller } from '../../node/core/puller.ts'
import { encodeSyncAnswer, type SyncRequest } from '../../node/core/sync.ts'
import { Unapplied } from '../../node/core/unapplied.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import { InvariantError } from '../../src/errors.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import { blockOn, cosigner, exampleGenesis, LEDGER, nodeSigner, TIME } from '../ledger/fixture.ts'
import { certify } from '../light/fixture.ts'
import { until } from '../support/cluster.ts'
import { mth, path } from '../support/naive-tree.ts'

describe('a node that has applied another chain than the certified one', function () {
  this.timeout(20_000)

  it('stops when it tries to catch up, and names the proposer that sealed both', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'qat-fork-'))
    const genesis = await exampleGenesis()
    const store = await LedgerStore.open(await openLevel(dir), genesis.block.bytes)
    const start = genesisState(genesis)
    const ours = await blockOn(start, [], {}, nodeSigner)
    await store.put({ blocks: [toRaftBlock(ours)] })
    await store.apply([{ block: ours, entries: [] }])

    const first = await blockOn(start, [], { time: TIME + 5_000 }, nodeSigner)
    const second = await blockOn(extend(start, first, []), [], { time: TIME + 6_000 }, nodeSigner)
    const leaves = [...genesis.block.leaves, ...first.leaves, ...second.leaves]
    const size = leaves.length
    const certificate = await certify({ origin: LEDGER, size, root: mth(leaves) })
    const asked: number[] = []
    const answer = async (_: string, bytes: Uint8Array) => {
      const { from } = JSON.parse(new TextDecoder().decode(bytes)) as SyncRequest
      asked.push(from)
      const blocks = [first, second].filter(({ seal }) => seal.height >= from).map((block) => block.bytes)
      return encodeSyncAnswer({ certificate, path: path(size - 1, leaves), blocks })
    }

    const told: Accusation[] = []
    let fatal: unknown
    const onFatal = (error: unknown) => {
      // What was found is kept by then.
      assert.equal(told.length, 1)
      fatal = error
    }
    const logger = createLogger('test', 'silent')
    const suite = opensslSuite
    const onEvidence = async (accusation: Accusation) => void told.push(accusation)
    const evidence = await EvidenceCollector.open({
      store,
      suite,
      logger,
      elapsed: () => 0,
      known: [],
      onEvidence,
    })
    const certifier = await Certifier.open({
      origin: LEDGER,
      name: 'ada',
      signer: cosigner,
      suite,
      store,
      evidence,
      logger,
      now: () => TIME,
      elapsed: () => 0,
      send() {},
      onCertificate() {},
      onCosigned() {},
      onForgotten: () => {},
      onFatal,
    })
    const puller = new Puller({
      network: { peers: () => ['bob'], request: answer, misbehaved() {} },
      driver: { raft: { commit: 1 } } as unknown as Driver,
      store,
      unapplied: new Unapplied(store, new Pool(), { urgent: suite, past: suite }, evidence, systemClock),
      certifier,
      evidence,
      clock: systemClock,
      logger,
      outside: false,
      onFatal,
    })
    puller.pullTo(2)
    await until(() => fatal !== undefined)
    assert.ok(fatal instanceof InvariantError)
    assert.match(fatal.message, /^The ledger has forked.*Signed two sides.*: ada\./)
    assert.deepEqual(
      [fatal.facts.height, fatal.facts.ours, fatal.facts.certificate],
      [1, ours.id, certificate],
    )
    assert.deepEqual(
      told.map(({ accused, evidence: { kind } }) => [accused, kind]),
      [['ada', 'two-seals']],
    )
    assert.deepEqual(asked, [2, 1])
    await store.close()
    await rm(dir, { recursive: true, force: true })
  })
})
