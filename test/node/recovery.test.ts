/** Which keys may sign once a store has forgotten what they signed, and when others may. */
import assert from 'node:assert/strict'
import { boundBy, type KeyRing, nameSpentKeys, Recovery } from '../../node/core/recovery.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import type { NodeMember } from '../../src/ledger/member.ts'
import { exampleGenesis, validatorOf } from '../ledger/fixture.ts'
import { memoryKv } from '../support/memory-kv.ts'

describe('a store that may have forgotten what was signed', () => {
  const logger = createLogger('test', 'silent')

  async function lostStore() {
    const genesis = await exampleGenesis()
    const [record] = genesis.membership.validators
    const other = validatorOf('bella', 50)
    const kv = memoryKv()
    const store = await LedgerStore.open(kv, genesis.block.bytes)
    const own = (member: NodeMember) => ({ node: member.nodeKey, cosigner: member.cosignerKey })
    return { store, genesis, record: record!, other, own, reopen: () => LedgerStore.open(kv, genesis) }
  }

  const ids = (...keys: PublicKey[]) => keys.map(keyId)
  const ring = (inPlace: readonly string[], next: readonly string[] = []): Pick<KeyRing, 'ids'> => ({
    ids: async () => ({ inPlace, next }),
  })

  it('names the keys in place and those that were to follow, and of later ones only those in place', async () => {
    const { store } = await lostStore()
    assert.deepEqual(await store.recovering(), { keys: [], why: 'lost' })
    await nameSpentKeys(store, ring(['node', 'cosigner'], ['next']))
    assert.deepEqual((await store.recovering())?.keys, ['node', 'cosigner', 'next'])
    await nameSpentKeys(store, ring(['node', 'another'], ['newer']))
    assert.deepEqual(await store.recovering(), { keys: ['node', 'cosigner', 'next', 'another'], why: 'lost' })
  })

  it('binds nobody, and names no key, if it is a sound one', async () => {
    const { genesis, record, own } = await lostStore()
    const store = await LedgerStore.open(memoryKv(), genesis.block.bytes, { fresh: true })
    assert.equal(await nameSpentKeys(store, ring(['node'])), undefined)
    assert.equal(await boundBy(store, record.name, own(record)), undefined)
    assert.equal(await store.recovering(), undefined)
  })

  it('binds the keys that it names, also one of the two, and everybody before it has named any', async () => {
    const { store, record, other, own } = await lostStore()
    assert.ok(await boundBy(store, record.name, own(record)), 'no key is named yet')
    for (const key of [record.nodeKey, record.cosignerKey]) {
      await store.setRecovering({ keys: ids(key), why: 'lost' })
      assert.ok(await boundBy(store, record.name, own(record)))
    }
    await store.setRecovering({ keys: ids(other.nodeKey, other.cosignerKey), why: 'lost' })
    assert.ok(await boundBy(store, record.name, own(other)))
  })

  it('goes on binding keys that it does not name until the membership in force names them for the node', async () => {
    const { store, record, other, own } = await lostStore()
    await store.setRecovering({ keys: ids(other.nodeKey, other.cosignerKey), why: 'lost' })
    assert.ok(await boundBy(store, other.name, own(record)), 'they are the keys of another node')
    assert.ok(await boundBy(store, record.name, { node: record.nodeKey, cosigner: other.nodeKey }))
    assert.ok(await store.recovering())
  })

  it('lets new keys sign that are in force, with the term kept, its vote spent, and nothing cosigned', async () => {
    const { store, record, other, own, reopen } = await lostStore()
    const base = { height: 0, term: 0, hash: store.tip.hash }
    await store.put({ hardState: { term: 5, vote: { candidate: 'somebody', base }, abstains: false } })
    await store.setCosigned({ size: 3, root: new Uint8Array(32) })
    await store.setRecovering({ keys: ids(other.nodeKey, other.cosignerKey), why: 'lost' })
    assert.equal(await boundBy(store, record.name, own(record)), undefined)
    const after = await reopen()
    assert.equal(await after.recovering(), undefined)
    assert.deepEqual(await after.hardState(), {
      term: 5,
      vote: { candidate: record.name, base },
      abstains: false,
    })
    assert.equal(await after.cosigned(), undefined)
  })

  it('tells its operator why nothing is signed, and what to do next, also where no keys can be made', async () => {
    const mark = { keys: ['spent'], why: 'restored' } as const
    const asked: unknown[] = []
    const recovery = new Recovery(
      mark,
      {
        ...ring([]),
        nodeSigner: async () => undefined,
        holds: async () => false,
        prepare: async (spent, record) => {
          asked.push([spent, record])
          if (asked.length > 1) throw new Error('No room.')
          return 'Next: this command.'
        },
      },
      logger,
    )
    await recovery.prepare(undefined)
    assert.match(
      recovery.note,
      /was put back from a backup\. So the node signs nothing.* Next: this command\.$/,
    )
    await recovery.prepare(undefined)
    assert.match(recovery.note, /They could not be made: No room\.$/)
    assert.deepEqual(asked[0], [['spent'], undefined])
  })
})
