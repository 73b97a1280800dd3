/** Keeping a ledger: backup, restore and fsck as an operator meets them. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateSeed, readKeyFile, writeKeyFile } from '../../node/crypto/keyfile.ts'
import { keysIn } from '../../node/keys-folder.ts'
import { LedgerStore } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { decodeMember, type NodeMember } from '../../src/ledger/member.ts'
import { qat, scratch } from '../cli/run-qat.ts'
import { event, startCluster, type TestCluster } from '../support/cluster.ts'

const ENTRIES = 12

describe('qat backup, restore and fsck', function () {
  this.timeout(120_000)
  const { path } = scratch()
  let cluster: TestCluster
  let stopped: string

  before(async () => {
    cluster = await startCluster()
    for (let i = 0; i < ENTRIES; i++) {
      await cluster.call('alpha', 'event.submit', { event: event(), wait: 'final' })
    }
    await cluster.settled()
    await cluster.stop('delta')
    stopped = cluster.folder('delta')
  })
  after(() => cluster?.close())

  const online = () => ['backup', '--rpc', cluster.url('alpha'), '--token', cluster.token, '--out']
  const store = (dir: string) => join(dir, 'store')

  async function recordIn(file: string): Promise<NodeMember> {
    return decodeMember(new Uint8Array(await readFile(file))) as NodeMember
  }

  /** Ids of the keys in place. */
  async function keysOf(dir: string): Promise<string[]> {
    return (await keysIn(dir)).map(keyId)
  }

  async function copyOf(name: string): Promise<string> {
    await cp(stopped, path(name), { recursive: true })
    return path(name)
  }

  it('backs up a running node, and says what is in the file', async () => {
    const { code, stderr, json } = await qat([...online(), path('online'), '--json'])
    assert.deepEqual([code, stderr], [0, ''])
    const { height, size, genesis } = json()[0]!
    const { finalSize, genesis: id } = cluster.running('alpha').status()
    assert.deepEqual([genesis, Number(height) >= ENTRIES], [id, true])
    assert.equal(size, finalSize)
    assert.deepEqual(
      (await readdir(path())).filter((name) => name.includes('partial')),
      [],
    )
  })

  it('replaces no file, unless it is told to', async () => {
    const again = await qat([...online(), path('online')])
    assert.equal(again.code, 5)
    assert.match(again.stderr, /exists\. Give another name, or --force/)
    const forced = await qat([...online(), path('online'), '--force'])
    assert.equal(forced.code, 0, forced.stderr)
    assert.match(forced.stdout, /Genesis +[0-9a-f]{64}/)
    assert.match(forced.stderr, /^Backing up: \d+ of \d+ blocks \(100 %\)$/m)
  })

  it('backs up the folder of a stopped node, and not of a running one', async () => {
    const { code, stderr, json } = await qat(['backup', '--dir', stopped, '--out', path('offline'), '--json'])
    assert.deepEqual([code, stderr], [0, ''])
    assert.ok(Number(json()[0]!.height) >= ENTRIES)
    const running = await qat(['backup', '--dir', cluster.folder('alpha'), '--out', path('x'), '--json'])
    assert.deepEqual([running.code, running.errorCode()], [1, 'store-locked'])
  })

  it('restores a store that says of itself that it has forgotten, and makes new keys', async () => {
    const dir = await copyOf('restored')
    const refused = await qat(['restore', path('online'), '--dir', dir])
    assert.equal(refused.code, 5)
    assert.match(refused.stderr, /exists\. Move it away, or give --force/)
    const keys = await keysOf(dir)
    const { code, stderr, json } = await qat(['restore', path('online'), '--dir', dir, '--force', '--json'])
    assert.deepEqual([code, stderr], [0, ''])
    const [done] = json()
    assert.equal(done!.recovering, true)
    assert.equal(done!.next, `qat rotate --dir ${dir} --admin-key KEY`)
    assert.match(String(done!.kept), /store\.old-/)
    const record = await recordIn(String(done!.record))
    assert.equal(record.name, 'delta')
    assert.ok([record.nodeKey, record.cosignerKey].every((key) => !keys.includes(keyId(key))))
    const check = await qat(['fsck', dir, '--json'])
    assert.deepEqual([check.code, check.json()[0]!.recovering, check.json()[0]!.findings], [0, true, []])
    const genesis = new Uint8Array(await readFile(join(dir, 'genesis.block')))
    const restored = await LedgerStore.open(await openLevel(store(dir)), genesis)
    assert.deepEqual(await restored.recovering(), { keys, why: 'restored' })
    assert.deepEqual(await restored.hardState(), {
      term: restored.tip.term,
      vote: undefined,
      abstains: false,
    })
    await restored.close()
  })

  it('restores nothing from a file that was changed, cut, or is of another ledger', async () => {
    const good = await readFile(path('online'))
    const spoil = async (name: string, change: (bytes: Buffer) => Buffer) => {
      await writeFile(path(name), change(Buffer.from(good)))
      const dir = await copyOf(`spoiled-${name}`)
      await rm(store(dir), { recursive: true })
      const { code, stdout, errorCode } = await qat(['restore', path(name), '--dir', dir, '--json'])
      assert.equal(code, 1, `${name}: ${stdout}`)
      assert.deepEqual(
        (await readdir(dir)).filter((file) => file.startsWith('store')),
        [],
        'nothing is left behind',
      )
      return errorCode()
    }
    assert.equal(await spoil('cut', (bytes) => bytes.subarray(0, bytes.length - 100)), 'truncated')
    assert.equal(await spoil('longer', (bytes) => Buffer.concat([bytes, Buffer.of(0)])), 'trailing-bytes')
    assert.equal(await spoil('nonsense', () => Buffer.from('nonsense, but long enough')), 'bad-field')
    await spoil('changed', (bytes) => {
      bytes[bytes.length >> 1]! ^= 1
      return bytes
    })
    const init = ['init', '--dir', path('other'), '--ledger', 'audit.example/other', '--nodes', '1', '--json']
    assert.equal((await qat(init)).code, 0)
    const dirs = await readdir(path('other'), { withFileTypes: true })
    const dir = path('other', dirs.find((entry) => entry.isDirectory())!.name)
    await rm(store(dir), { recursive: true })
    const other = await qat(['restore', path('online'), '--dir', dir, '--json'])
    assert.deepEqual([other.code, other.errorCode()], [1, 'store-mismatch'])
  })

  it('uses no keys again that were to follow when the store was put back', async () => {
    const dir = await copyOf('twice')
    const restore = ['restore', path('online'), '--dir', dir, '--force', '--json']
    const [first] = (await qat(restore)).json()
    const before = await recordIn(String(first!.record))
    const words = await qat(restore.slice(0, -1))
    assert.equal(words.code, 0, words.stderr)
    assert.match(words.stdout, /its keys must not sign any more.*qat start --dir .*qat rotate --dir /s)
    const after = await recordIn(String(first!.record))
    assert.notEqual(keyId(after.nodeKey), keyId(before.nodeKey))
    assert.deepEqual(
      (await readdir(join(dir, 'spent'))).toSorted(),
      [before.nodeKey, before.cosignerKey].map((key) => `${keyId(key)}.key`).toSorted(),
    )
  })

  it('makes no keys without the passphrase of those that are there', async () => {
    const dir = await copyOf('locked')
    for (const [file, alg] of [
      ['node.key', 'ML-DSA-65'],
      ['cosigner.key', 'ML-DSA-44'],
    ] as const) {
      await rm(join(dir, file))
      await writeKeyFile(join(dir, file), alg, generateSeed(), 'sesame')
    }
    const refused = await qat(['restore', path('online'), '--dir', dir, '--force', '--json'])
    assert.deepEqual([refused.code, refused.errorCode()], [1, 'key-file-passphrase'])
    assert.ok(!(await readdir(dir)).some((file) => file.startsWith('store.')), 'nothing has changed')
    const env = { QAT_PASSPHRASE: 'sesame' }
    const done = await qat(['restore', path('online'), '--dir', dir, '--force', '--json'], { env })
    assert.equal(done.code, 0, done.stdout)
    await assert.rejects(readKeyFile(join(dir, 'next', 'node.key')), { code: 'key-file-passphrase' })
  })

  it('checks the store of a stopped node, in words and in JSON', async () => {
    const words = await qat(['fsck', stopped])
    assert.equal(words.code, 0, words.stdout)
    assert.match(words.stdout, /Found +nothing wrong/)
    assert.match(
      words.stdout,
      /Signatures +\d+ of entries and seals, every one verified\nTook +[\d.]+ s, \d+ entries\/s/,
    )
    assert.match(words.stderr, /^Checking: \d+ of \d+ blocks \(100 %\)$/m)
    const [report] = (await qat(['fsck', stopped, '--json'])).json()
    assert.deepEqual([report!.sound, report!.findings], [true, []])
    assert.ok(Number(report!.signatures) > Number(report!.entries) && Number(report!.seconds) > 0)
    const locked = await qat(['fsck', cluster.folder('alpha'), '--json'])
    assert.deepEqual([locked.code, locked.errorCode()], [1, 'store-locked'])
    const nothing = await qat(['fsck', path('nowhere'), '--json'])
    assert.deepEqual([nothing.code, nothing.errorCode()], [5, 'folder-missing'])
  })

  it('names damage, ends with 4, and repairs it with the help of a peer', async () => {
    const dir = await copyOf('damaged')
    const log = (await readdir(store(dir))).find((name) => name.endsWith('.log'))!
    await truncate(join(store(dir), log), 200)
    const found = await qat(['fsck', dir])
    assert.equal(found.code, 4, found.stdout)
    assert.match(found.stdout, /\.log has 200 bytes; it had \d+ when the store was closed/)
    assert.match(found.stdout, /What it means: .*\n +What to do: +--repair/)
    const started = await qat(['start', '--dir', dir, '--json'])
    assert.deepEqual([started.code, started.errorCode()], [4, 'store-damaged'])
    const repaired = await qat([
      'fsck',
      dir,
      '--repair',
      '--rpc',
      cluster.url('alpha'),
      '--token',
      cluster.token,
      '--json',
    ])
    assert.equal(repaired.code, 0, repaired.stdout)
    const { recovering, next } = repaired.json()[0]!.repair as { recovering: boolean; next: string }
    assert.deepEqual([recovering, next], [true, `qat rotate --dir ${dir} --admin-key KEY`])
    const { name, nodeKey } = await recordIn(join(dir, 'next', 'member.json'))
    assert.ok(name === 'delta' && !(await keysOf(dir)).includes(keyId(nodeKey)))
    const after = await qat(['fsck', dir, '--json'])
    const [report] = after.json()
    assert.deepEqual([after.code, report!.sound, report!.recovering], [0, true, true])
    assert.equal(report!.size, cluster.running('alpha').status().finalSize)
  })
})
