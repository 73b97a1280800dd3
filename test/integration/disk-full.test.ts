/** A node whose disk fills up, really: it steps down, goes on answering, and comes back when there is room. */
import assert from 'node:assert/strict'
import { cp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RpcError } from '../../node/rpc/errors.ts'
import { event, startCluster, type TestCluster, until } from '../support/cluster.ts'
import { smallDisk, unmount } from '../support/small-disk.ts'

describe('a node on a full disk', function () {
  this.timeout(120_000)
  const ballast = () => join(disk!, 'ballast')
  let disk: string | undefined
  let cluster: TestCluster | undefined

  before(async function () {
    disk = smallDisk('160m')
    if (disk === undefined) {
      console.log('      skipped: this user may not mount a small disk')
      this.skip()
    }
    cluster = await startCluster({ start: false })
    const store = join(cluster.folder('alpha'), 'store')
    await cp(store, join(disk, 'store'), { recursive: true })
    await rm(store, { recursive: true })
    await symlink(join(disk, 'store'), store)
    await Promise.all(cluster.names.map((name) => cluster!.start(name)))
    await cluster.settled()
  })
  after(async () => {
    await cluster?.close()
    if (disk !== undefined) unmount(disk)
  })

  const submit = (name: string) =>
    cluster!.call<{ id: string }>(name, 'event.submit', { event: event(), wait: 'final', timeoutMs: 10_000 })
  const role = () => cluster!.running('alpha').status().role

  it('steps down before there is no room, says why, and still answers', async () => {
    const { id } = await submit('alpha')
    await writeFile(ballast(), new Uint8Array(120 * 1024 * 1024))
    await until(() => role() === 'suspended')
    assert.match(cluster!.running('alpha').status().note!, /disk is nearly full/)
    const refused = await submit('alpha').catch((error: RpcError) => error)
    assert.ok(refused instanceof Error)
    assert.equal(refused.data.code, 'unavailable')
    assert.ok((refused.data.retryAfterMs as number) > 0)
    assert.equal((await cluster!.call<{ status: string }>('alpha', 'entry.get', { id })).status, 'final')
  })

  it('holds nobody up meanwhile', async () => {
    for (const name of ['bravo', 'charlie', 'delta']) await submit(name)
  })

  it('takes part again by itself when there is room, and has missed nothing', async () => {
    await rm(ballast())
    await until(() => role() !== 'suspended')
    await submit('alpha')
    await cluster!.settled()
  })
})
