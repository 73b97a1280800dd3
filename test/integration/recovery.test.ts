/** A node whose disk forgot what it had promised takes part again only when it knows. */
import assert from 'node:assert/strict'
import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { qat } from '../cli/run-qat.ts'
import { event, startCluster, type TestCluster, until } from '../support/cluster.ts'

describe('a node that forgot', function () {
  this.timeout(120_000)
  let cluster: TestCluster
  before(async () => {
    cluster = await startCluster()
    await submit('bravo')
  })
  after(() => cluster?.close())

  const store = () => join(cluster.folder('alpha'), 'store')
  const status = () => cluster.running('alpha').status()
  const takesPart = () => ['leader', 'follower'].includes(status().role) && status().leader !== undefined
  async function submit(name: string): Promise<string> {
    const params = { event: event(), wait: 'final', timeoutMs: 20_000 }
    const { id, status } = await cluster.call<{ id: string; status: string }>(name, 'event.submit', params)
    assert.equal(status, 'final')
    return id
  }

  it('its whole disk waits for every other validator, and says for whom', async () => {
    await cluster.stop('alpha')
    await rm(store(), { recursive: true })
    await cluster.stop('delta')
    await cluster.start('alpha')
    await until(() => status().note?.includes('delta') === true && !status().note?.includes('bravo'))
    assert.equal(status().role, 'recovering')
    await cluster.start('delta')
    await until(takesPart)
    assert.equal(status().note, undefined)
    await submit('alpha')
    await cluster.settled()
  })

  it('the last hour, because an old copy of its store was put back, is told by its own cosignature', async () => {
    await cluster.stop('alpha')
    const copy = join(cluster.dir, 'old-copy')
    await cp(store(), copy, { recursive: true })
    await cluster.start('alpha')
    // Three of four must cosign, so without delta alpha's line is in every certificate.
    await cluster.stop('delta')
    await until(takesPart)
    const ids = [await submit('bravo'), await submit('charlie')]
    await cluster.stop('alpha')
    await rm(store(), { recursive: true })
    await cp(copy, store(), { recursive: true })
    const seen = new Set<string>()
    await cluster.start('alpha')
    await until(() => seen.add(status().role).has('recovering'))
    await cluster.start('delta')
    await until(takesPart)
    for (const id of ids) {
      // Its blocks may be back a moment before the newest certificate is.
      const found = () => cluster.call<{ status: string }>('alpha', 'entry.get', { id })
      await until(async () => (await found()).status === 'final')
    }
    await submit('alpha')
    await cluster.settled()
  })

  it('its disk, and with it that its keys are others than in genesis, comes back with the keys in its folder', async () => {
    const admin = ['--admin-key', join(cluster.dir, 'admin.key'), '--rpc', cluster.url('bravo')]
    const { code, stderr } = await qat(['rotate', '--dir', cluster.folder('alpha'), ...admin])
    assert.equal(code, 0, stderr)
    await until(takesPart)
    await cluster.stop('alpha')
    await rm(store(), { recursive: true })
    await cluster.start('alpha')
    await until(takesPart)
    assert.equal(status().sequence, 1)
    await submit('alpha')
    await cluster.settled()
  })

  it('nothing does not start with keys that are not its own', async () => {
    await cluster.stop('alpha')
    const key = join(cluster.folder('alpha'), 'node.key')
    await rename(key, `${key}.aside`)
    await cp(join(cluster.folder('bravo'), 'node.key'), key)
    await assert.rejects(cluster.start('alpha'), { code: 'folder-damaged' })
    await rename(`${key}.aside`, key)
    await cluster.start('alpha')
    await until(takesPart)
  })
})
