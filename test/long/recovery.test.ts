/** A node that may have forgotten what it signed follows, signs nothing, and takes part again under new keys. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { memberFromJson, type NodeMember } from '../../src/ledger/member.ts'
import { type Ended, qat } from '../cli/run-qat.ts'
import { event, startCluster, type TestCluster, until } from '../support/cluster.ts'

describe('a node that forgot', function () {
  this.timeout(180_000)
  let cluster: TestCluster
  before(async () => {
    cluster = await startCluster()
    await submit('bravo')
  })
  after(() => cluster?.close())

  const folder = (...parts: string[]) => join(cluster.folder('alpha'), ...parts)
  const status = () => cluster.running('alpha').status()
  const takesPart = () => ['leader', 'follower'].includes(status().role) && status().leader !== undefined
  const recovers = () => status().role === 'recovering'
  const admin = () => ['--admin-key', join(cluster.dir, 'admin.key'), '--rpc', cluster.url('bravo')]

  async function submit(name: string): Promise<string> {
    const params = { event: event(), wait: 'final', timeoutMs: 20_000 }
    const { id, status } = await cluster.call<{ id: string; status: string }>(name, 'event.submit', params)
    assert.equal(status, 'final')
    return id
  }

  /** Ids of the keys in place. */
  async function keys(): Promise<string[]> {
    const { code, stdout, stderr } = await qat(['member', 'record', '--kind', 'node', '--dir', folder()])
    assert.equal(code, 0, stderr)
    const { nodeKey, cosignerKey } = memberFromJson(JSON.parse(stdout)) as NodeMember
    return [keyId(nodeKey), keyId(cosignerKey)]
  }

  async function loseDisk(): Promise<void> {
    await cluster.stop('alpha')
    await rm(folder('store'), { recursive: true })
    await cluster.start('alpha')
    await until(recovers)
  }

  /** The change is signed and final, and the node goes on by itself, under keys that it did not have before. */
  async function renewed(run: () => Promise<Ended>): Promise<void> {
    const before = await keys()
    const { code, stderr } = await run()
    assert.equal(code, 0, stderr)
    await until(takesPart)
    const after = await keys()
    assert.ok(after.every((id) => !before.includes(id)))
    const spent = await readdir(folder('spent'))
    for (const id of before) assert.ok(spent.includes(`${id}.key`), `${spent} lacks ${id}`)
    await assert.rejects(readdir(folder('next')), { code: 'ENOENT' })
    // Three of four must cosign, so without delta this node's new key is in the certificate.
    await cluster.stop('delta')
    await submit('alpha')
    await cluster.start('delta')
    await cluster.settled()
  }
  const rotate = () => qat(['rotate', '--dir', folder(), ...admin()])

  it('its whole disk follows, signs nothing, and says which command gives it new keys', async () => {
    await loseDisk()
    assert.match(status().note!, /its disk was lost.* signs nothing more/)
    assert.ok(status().note!.includes(`qat rotate --dir ${folder()} --admin-key KEY`))
    const id = await submit('bravo')
    const entry = () => cluster.call<{ status: string }>('alpha', 'entry.get', { id })
    await until(async () => (await entry().catch(() => undefined))?.status === 'final')
    // It votes for nobody and cosigns nothing: with two others nothing becomes final.
    await cluster.stop('delta')
    const params = { event: event(), wait: 'final', timeoutMs: 4_000 }
    const waiting = await cluster.call<{ status: string }>('bravo', 'event.submit', params)
    assert.notEqual(waiting.status, 'final')
    interface Seen {
      nodes: { name: string; role: string; online: boolean }[]
    }
    const seen = async () => (await cluster.call<Seen>('bravo', 'cluster.status')).nodes
    await until(async () => (await seen()).some(({ name, role }) => name === 'alpha' && role === 'silent'))
    await cluster.start('delta')
    await submit('bravo')
    // Nor after another start.
    await cluster.stop('alpha')
    await cluster.start('alpha')
    assert.equal(status().role, 'recovering')
    await renewed(rotate)
    assert.equal(status().note, undefined)
  })

  it('its disk once more gets keys from an admin who has nothing of the node but the record', async () => {
    await loseDisk()
    const record = join(cluster.dir, 'sent-to-the-admin.json')
    await cp(folder('next', 'member.json'), record)
    await renewed(() => qat(['member', 'replace', record, ...admin()]))
    const log = await qat(['member', 'list', '--rpc', cluster.url('alpha')])
    const [nodeKey] = await keys()
    assert.ok(log.stdout.includes(nodeKey!))
  })

  it('the last hour, because an old copy of its store was put back, is told by its own cosignature', async () => {
    await cluster.stop('alpha')
    const copy = join(cluster.dir, 'old-copy')
    await cp(folder('store'), copy, { recursive: true })
    await cluster.start('alpha')
    await until(takesPart)
    // Three of four must cosign, so without delta alpha's line is in every certificate.
    await cluster.stop('delta')
    const ids = [await submit('bravo'), await submit('charlie')]
    await cluster.stop('alpha')
    await rm(folder('store'), { recursive: true })
    await cp(copy, folder('store'), { recursive: true })
    await cluster.start('alpha')
    await until(recovers)
    assert.match(status().note!, /it is an old copy/)
    await cluster.start('delta')
    await renewed(rotate)
    for (const id of ids) {
      const { status } = await cluster.call<{ status: string }>('alpha', 'entry.get', { id })
      assert.equal(status, 'final')
    }
  })

  it('what came after a backup, because its store was restored from that, gets new keys', async () => {
    const backup = join(cluster.dir, 'backup')
    const made = await qat([
      'backup',
      '--rpc',
      cluster.url('bravo'),
      '--token',
      cluster.token,
      '--out',
      backup,
    ])
    assert.equal(made.code, 0, made.stderr)
    const id = await submit('bravo')
    await cluster.stop('alpha')
    const restored = await qat(['restore', backup, '--dir', folder(), '--force'])
    assert.equal(restored.code, 0, restored.stderr)
    await cluster.start('alpha')
    await until(recovers)
    await renewed(rotate)
    assert.equal((await cluster.call<{ status: string }>('alpha', 'entry.get', { id })).status, 'final')
    await cluster.stop('alpha')
    const [report] = (await qat(['fsck', folder(), '--json'])).json()
    assert.deepEqual([report!.sound, report!.recovering], [true, false])
    await cluster.start('alpha')
  })

  it('what was damaged, because its store was repaired, gets new keys', async () => {
    await cluster.stop('alpha')
    const log = (await readdir(folder('store'))).find((name) => name.endsWith('.log'))!
    await truncate(folder('store', log), 100)
    const repaired = await qat([
      'fsck',
      folder(),
      '--repair',
      '--rpc',
      cluster.url('bravo'),
      '--token',
      cluster.token,
    ])
    assert.equal(repaired.code, 0, repaired.stdout)
    assert.match(repaired.stdout, /its keys must not sign any more.*qat start --dir .*qat rotate --dir /s)
    await cluster.start('alpha')
    await until(recovers)
    await renewed(rotate)
  })

  it('its disk, and has keys of before a change, signs under neither those nor the ones it had last', async () => {
    const files = ['node.key', 'cosigner.key']
    const keep = async (name: string) => {
      for (const file of files) await cp(folder(file), join(cluster.dir, `${name}-${file}`))
    }
    const putBack = async (name: string) => {
      for (const file of files) await cp(join(cluster.dir, `${name}-${file}`), folder(file))
    }
    const first = await keys()
    await keep('first')
    assert.equal((await rotate()).code, 0)
    await until(async () => takesPart() && (await keys())[0] !== first[0])
    const second = await keys()
    await keep('second')
    await cluster.stop('alpha')
    await rm(folder('store'), { recursive: true })
    await putBack('first')
    await cluster.start('alpha')
    const bravo = () => cluster.running('bravo').status()
    await until(() => recovers() && status().finalSize === bravo().finalSize)
    await cluster.stop('alpha')
    await putBack('second')
    await cluster.start('alpha')
    await until(() => status().leader !== undefined)
    assert.equal(status().role, 'recovering')
    await cluster.stop('alpha')
    const genesis = new Uint8Array(await readFile(folder('genesis.block')))
    const store = await LedgerStore.open(await openLevel(folder('store')), genesis)
    const mark = await store.recovering()
    await store.close()
    for (const id of [...first, ...second]) assert.ok(mark?.keys.includes(id))
    await cluster.start('alpha')
    await renewed(rotate)
  })

  it('nothing does not start with keys that are not its own', async () => {
    await cluster.stop('alpha')
    const key = folder('node.key')
    await rename(key, `${key}.aside`)
    await cp(join(cluster.folder('bravo'), 'node.key'), key)
    await assert.rejects(cluster.start('alpha'), { code: 'folder-damaged' })
    await rename(`${key}.aside`, key)
    await cluster.start('alpha')
    await until(takesPart)
  })
})
