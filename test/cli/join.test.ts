/** `qat join`: a folder that a node can start from, for the ledger that was meant and no other. */
import assert from 'node:assert/strict'
import { readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { writeKeyFile } from '../../node/crypto/keyfile.ts'
import { readNodeFolder, readTokens } from '../../node/folder.ts'
import { adoptKeyFiles, keyFilesOf, makeNextIdentity } from '../../node/keys-folder.ts'
import { recordOfFolder } from '../../node/node-record.ts'
import { toBase64 } from '../../src/bytes.ts'
import { decodeMember, type Learner, memberFromJson } from '../../src/ledger/member.ts'
import { isNode } from '../../src/ledger/membership.ts'
import { ALICE, exampleGenesis } from '../ledger/fixture.ts'
import { type FakeLedger, FOUR, startLedger } from './fake-ledger.ts'
import { qat, scratch } from './run-qat.ts'

describe('qat join', function () {
  this.timeout(60_000)
  const { path } = scratch()
  let ledger: FakeLedger
  let id: string
  before(async () => {
    const { block } = await exampleGenesis()
    id = block.id
    const genesis = () => ({ id, genesis: toBase64(block.bytes) })
    ledger = await startLedger([ALICE, ...FOUR], undefined, { genesis })
  })
  after(() => ledger.close())

  const PLACE = ['--team', 'ops', '--host', '127.0.0.1', '--peer-port', '9485', '--rpc-port', '8485']
  const join = (dir: string, ...args: string[]) =>
    qat(['join', '--dir', path(dir), ...PLACE, ...args, '--rpc', ledger.url], {})

  it('makes a folder with new keys, genesis and the way to the others, and a record for an admin', async () => {
    const { code, stdout, stderr } = await join('n5', '--name', 'n5', '--genesis-id', id)
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(
      stdout,
      /\nNext:\n {2}1\. Start it: {2}qat start --dir [^\n]+n5\n {2}2\. Give [^\n]+\/member\.json to an admin/,
    )
    const files = ['cosigner.key', 'gateway.json', 'gateway.key', 'genesis.block', 'member.json']
    assert.deepEqual((await readdir(path('n5'))).toSorted(), [
      ...files,
      'node.json',
      'node.key',
      'store',
      'tokens.json',
    ])
    assert.equal((await stat(path('n5', 'node.key'))).mode & 0o777, 0o600)
    const { config, genesis } = await readNodeFolder(path('n5'))
    assert.deepEqual([config.name, genesis.block.id], ['n5', id])
    assert.deepEqual(await readTokens(path('n5')), [])
    assert.deepEqual(config.listen, ['/ip4/127.0.0.1/tcp/9485'])
    assert.deepEqual(
      config.peers,
      FOUR.map(({ name, peerId, addresses }) => ({ name, peerId, addresses })),
    )
    const record = decodeMember(new Uint8Array(await readFile(path('n5', 'member.json'))))
    assert.ok(isNode(record))
    assert.deepEqual([record.kind, record.name, record.team], ['learner', 'n5', 'ops'])
    assert.deepEqual([record.addresses, record.url], [['/ip4/127.0.0.1/tcp/9485'], 'http://127.0.0.1:8485'])
    assert.deepEqual(await recordOfFolder(path('n5')), record)
    const gateway = decodeMember(new Uint8Array(await readFile(path('n5', 'gateway.json'))))
    assert.deepEqual([gateway.kind, gateway.name], ['submitter', 'gateway-n5'])
  })

  it('goes no further without the id of the ledger that is meant', async () => {
    const unasked = await join('unmade', '--name', 'n6')
    assert.equal(unasked.code, 2)
    assert.match(
      unasked.stderr,
      new RegExp(`says its genesis is ${id}\\. Compare that with what an admin gives you`),
    )
    const other = await join('unmade', '--name', 'n6', '--genesis-id', 'ab'.repeat(32), '--json')
    assert.deepEqual([other.code, other.errorCode()], [1, 'wrong-ledger'])
    const taken = await join('unmade', '--name', 'n2', '--genesis-id', id)
    assert.match(taken.stderr, /A member is named n2 already/)
    const filled = await join('n5', '--name', 'n6', '--genesis-id', id)
    assert.match(filled.stderr, /n5 is not empty/)
    await assert.rejects(readdir(path('unmade')), { code: 'ENOENT' })
  })

  it('is not fooled by a node that gives another block under the right id', async () => {
    const { block } = await exampleGenesis()
    const forged = block.bytes.slice()
    forged[300]! ^= 1
    const liar = await startLedger([ALICE, ...FOUR], undefined, {
      genesis: () => ({ id, genesis: toBase64(forged) }),
    })
    const { code } = await qat([
      'join',
      '--dir',
      path('forged'),
      '--name',
      'n6',
      ...PLACE,
      '--genesis-id',
      id,
      '--rpc',
      liar.url,
    ])
    assert.equal(code, 1)
    await assert.rejects(readdir(path('forged')), { code: 'ENOENT' })
    await liar.close()
  })

  it('record makes the record again, also for a place to which the node moves', async () => {
    const args = ['member', 'record', '--kind', 'node', '--dir', path('n5')]
    const same = memberFromJson((await qat(args)).json()[0]!)
    assert.deepEqual(same, await recordOfFolder(path('n5')))
    const place = ['--host', 'n5.example', '--peer-port', '1', '--rpc-port', '2']
    const moved = memberFromJson((await qat([...args, ...place])).json()[0]!)
    const addresses = { addresses: ['/dns4/n5.example/tcp/1'], url: 'http://n5.example:2' }
    assert.deepEqual(moved, { ...same, ...addresses })
    const half = await qat([...args, '--host', 'n5.example'])
    assert.match(half.stderr, /needs --host, --peer-port and --rpc-port together/)
  })

  it('writes peers that are read as strictly as all else in the folder', async () => {
    const file = path('n5', 'node.json')
    const config = await readFile(file, 'utf8')
    await writeFile(file, JSON.stringify({ ...JSON.parse(config), peers: [{ name: 'n1' }] }))
    await assert.rejects(readNodeFolder(path('n5')), { code: 'folder-damaged' })
    await writeFile(file, config)
  })

  describe('and qat rotate', () => {
    const rotate = (...args: string[]) => qat(['rotate', '--dir', path('n5'), ...args])
    const nextRecord = async () =>
      decodeMember(new Uint8Array(await readFile(path('n5', 'next', 'member.json')))) as Learner

    it('makes keys beside the old ones, once, and a record that names them', async () => {
      const before = await recordOfFolder(path('n5'))
      const cluster = await startLedger([ALICE, ...FOUR, before])
      const { code, stdout } = await rotate('--rpc', cluster.url)
      assert.equal(code, 0)
      assert.match(stdout, /qat member replace [^\n]+\/next\/member\.json --admin-key KEY\n$/)
      const record = await nextRecord()
      assert.notDeepEqual(record.nodeKey, before.nodeKey)
      assert.notEqual(record.peerId, before.peerId)
      assert.deepEqual(record.addresses, before.addresses)
      assert.equal((await rotate('--rpc', cluster.url)).code, 0)
      assert.deepEqual(await nextRecord(), record)
      assert.deepEqual(await recordOfFolder(path('n5')), before)
      await cluster.close()
    })

    it('submits the change if given an admin key', async () => {
      const before = await recordOfFolder(path('n5'))
      await writeKeyFile(path('alice.key'), 'ML-DSA-65', new Uint8Array(32).fill(1))
      const cluster = await startLedger([ALICE, ...FOUR, before])
      const { code, stderr } = await rotate('--admin-key', path('alice.key'), '--rpc', cluster.url)
      assert.equal(code, 0)
      assert.match(
        stderr,
        /\nNode key +[^ ]+ \(before: [^ ]+\)\nCosigner key +[^ ]+ \(before: [^ ]+\)\nPeer id +/,
      )
      assert.deepEqual(cluster.membership().learners, [await nextRecord()])
      await cluster.close()
      const stranger = await rotate('--rpc', ledger.url)
      assert.match(stranger.stderr, /No member has the name n5/)
    })

    it('finds and moves the keys that a record names, also where that was interrupted', async () => {
      const dir = path('n5')
      const [old, next] = [await recordOfFolder(dir), await nextRecord()]
      const present = { nodeKey: path('n5', 'node.key'), cosignerKey: path('n5', 'cosigner.key') }
      assert.deepEqual(await keyFilesOf(dir, old), present)
      assert.equal(await keyFilesOf(dir, FOUR[0]!), undefined)
      const found = await keyFilesOf(dir, next)
      assert.equal(found?.nodeKey, path('n5', 'next', 'node.key'))
      await adoptKeyFiles(dir, { ...found!, cosignerKey: present.cosignerKey })
      const half = await keyFilesOf(dir, next)
      assert.deepEqual(half, { nodeKey: present.nodeKey, cosignerKey: path('n5', 'next', 'cosigner.key') })
      await adoptKeyFiles(dir, half!)
      assert.deepEqual(await keyFilesOf(dir, next), present)
      assert.equal(await keyFilesOf(dir, old), undefined)
      await assert.rejects(readdir(path('n5', 'next')), { code: 'ENOENT' })
      await adoptKeyFiles(dir, present)
    })

    it('goes on where making the keys was interrupted, and keeps them under a passphrase', async () => {
      const first = await makeNextIdentity(path('n5'), 'sesame')
      await unlink(path('n5', 'next', 'cosigner.key'))
      const second = await makeNextIdentity(path('n5'), 'sesame')
      assert.deepEqual(second.nodeKey, first.nodeKey)
      assert.notDeepEqual(second.cosignerKey, first.cosignerKey)
      await assert.rejects(makeNextIdentity(path('n5')), { code: 'key-file-passphrase' })
    })
  })
})
