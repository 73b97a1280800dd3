/** KMEs that run by themselves, and nodes that know nothing of them but an address and certificates. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { KME_FILES } from '../../node/kme/create.ts'
import type { LinkView } from '../../node/service.ts'
import { type RunningNode, startNode } from '../../node/start.ts'
import { startCluster, type TestCluster, until } from '../support/cluster.ts'
import { Kmes, NO_LIMITS } from '../support/kmes.ts'

describe('nodes whose KMEs run elsewhere', function () {
  this.timeout(60_000)
  let kmes: Kmes
  let cluster: TestCluster
  const nodes: RunningNode[] = []
  before(async () => {
    kmes = await Kmes.start({ names: ['alpha', 'bravo'], rateLimits: NO_LIMITS })
    cluster = await startCluster({ start: false })
    await kmes.keyed()
  })
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()))
    await cluster?.close()
    await kmes?.close()
  })

  const start = async (name: string, sae = name) => {
    const files = (file: string) => join(kmes.folder(sae), file)
    const qkd = {
      mode: 'require',
      server: `https://127.0.0.1:${kmes.kme(sae).apiPort}`,
      ca: files(KME_FILES.ca),
      cert: files(KME_FILES.saeCert),
      key: files(KME_FILES.saeKey),
    } as const
    const node = await startNode(cluster.folder(name), { logLevel: 'silent', qkd })
    nodes.push(node)
    return node
  }
  const links = async (name: string) => (await cluster.call<{ links: LinkView[] }>(name, 'qkd.status')).links

  it('key their links by them, and show what these say', async () => {
    const alpha = await start('alpha')
    await start('bravo')
    await until(() => alpha.status().peers.length === 1)
    await until(async () => (await links('alpha')).some(({ state }) => state === 'FRESH'))
    const [link] = await links('alpha')
    assert.deepEqual([link!.link, link!.fibre, link!.simulated], ['alpha-bravo', 'OK', true])
    await assert.rejects(
      cluster.call('alpha', 'qkd.disturb', { link: 'alpha-bravo', change: 'cut' }),
      /unauthorized|may not log/,
    )
  })

  it('let nobody in who has no QKD key with them', async () => {
    // It shows the certificate of another application, of which its own KME knows nothing.
    const charlie = await start('charlie', 'bravo')
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    assert.deepEqual(charlie.status().peers, [])
    assert.ok((await links('alpha')).every(({ peer }) => peer === 'bravo'))
  })

  it('cannot be told to require keys and have no KME', async () => {
    await assert.rejects(
      startNode(cluster.folder('delta'), { logLevel: 'silent', qkd: { mode: 'require' } }),
      {
        code: 'folder-damaged',
      },
    )
    const qkd = { server: 'http://127.0.0.1:1', ca: 'ca', cert: 'cert', key: 'key' }
    await assert.rejects(startNode(cluster.folder('delta'), { logLevel: 'silent', qkd }), {
      code: 'kme-unavailable',
    })
  })
})
