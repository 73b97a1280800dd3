/** `qat init`: what a founded ledger has in it, and how members' own keys get there. */
import assert from 'node:assert/strict'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readGenesis } from '../../src/ledger/genesis.ts'
import { qat, scratch } from './run-qat.ts'

describe('qat init', function () {
  this.timeout(30_000)
  const { path } = scratch()

  it('admits submitters by their public keys, with what they may log', async () => {
    const made = (
      await qat(['keygen', '--out', path('team.key'), '--public', path('team.jwk'), '--json'])
    ).json()[0]!
    const key = JSON.parse(await readFile(path('team.jwk'), 'utf8'))
    const record = {
      name: 'ci',
      team: 'web',
      key,
      sources: ['https://ci.example/*'],
      types: ['com.example.*'],
    }
    await writeFile(path('submitters.json'), JSON.stringify([record]))
    const args = ['--ledger', 'audit.example/x', '--nodes', '1', '--submitters', path('submitters.json')]
    const { code, stderr } = await qat(['init', '--dir', path('ledger'), ...args])
    assert.deepEqual([code, stderr], [0, ''])
    // A simulated KME protects nothing: no real cluster gets one unasked.
    await assert.rejects(readFile(path('ledger/qkd-ca.pem')), { code: 'ENOENT' })
    assert.equal(JSON.parse(await readFile(path('ledger/alpha/node.json'), 'utf8')).qkd, undefined)
    const { membership } = readGenesis(new Uint8Array(await readFile(path('ledger/genesis.block'))))
    const found = membership.submitters.find(({ name }) => name === 'ci')!
    assert.deepEqual([found.team, found.sources, found.types], ['web', record.sources, record.types])
    assert.equal([...membership.submitterByKeyId].find(([, member]) => member === found)?.[0], made.keyid)
  })

  it('has JSON-RPC on loopback, unless another address is given, and warns then', async () => {
    const nodes = ['--ledger', 'a.example/b', '--node', 'alpha=10.0.0.7', '--qkd', 'off']
    const rpcOf = async (dir: string) => {
      const config = JSON.parse(await readFile(join(dir, 'alpha', 'node.json'), 'utf8'))
      return [config.rpc, config.listen]
    }
    const quiet = await qat(['init', '--dir', path('loopback'), ...nodes])
    assert.deepEqual([quiet.code, quiet.stderr], [0, ''])
    const peers = ['/ip4/0.0.0.0/tcp/9480']
    assert.deepEqual(await rpcOf(path('loopback')), [{ host: '127.0.0.1', port: 8480 }, peers])
    const open = await qat(['init', '--dir', path('open'), ...nodes, '--rpc-host', '0.0.0.0'])
    assert.equal(open.code, 0)
    assert.match(open.stderr, /^Warning: JSON-RPC on 0\.0\.0\.0 has no TLS: /)
    assert.deepEqual(await rpcOf(path('open')), [{ host: '0.0.0.0', port: 8480 }, peers])
  })

  it('refuses a record it cannot read, and leaves no folder behind', async () => {
    await writeFile(
      path('bad.json'),
      JSON.stringify([{ name: 'ci', team: 'web', key: {}, sources: ['*'], types: ['*'] }]),
    )
    const args = ['--ledger', 'audit.example/x', '--nodes', '1', '--submitters', path('bad.json')]
    const { code, stderr } = await qat(['init', '--dir', path('unmade'), ...args])
    assert.equal(code, 5)
    assert.match(stderr, /bad\.json/)
    await assert.rejects(readFile(path('unmade/genesis.block')))
  })

  it('leaves nothing behind where founding fails in the middle, so that it can be tried again', async () => {
    const jwk = (await qat(['keygen', '--out', path('twin.key'), '--json'])).json()[0]!.jwk
    const twin = { name: 'twin', team: 'web', key: jwk, sources: ['*'], types: ['*'] }
    await writeFile(path('twins.json'), JSON.stringify([twin, twin]))
    await mkdir(path('kept'))
    const args = ['--ledger', 'audit.example/x', '--nodes', '1', '--submitters', path('twins.json')]
    for (const dir of ['kept', 'new/er'])
      assert.equal((await qat(['init', '--dir', path(dir), ...args])).code, 1)
    assert.deepEqual(await readdir(path('kept')), [])
    await assert.rejects(access(path('new')))
  })

  it('takes peer ports, and warns of a quorum that fewer liars can divide or that no node may miss', async () => {
    const nodes = [1, 2, 3, 4, 5, 6, 7].flatMap((i) => ['--node', `n${i}=10.0.0.${i}:8480:${7_000 + i}`])
    const args = ['--ledger', 'audit.example/x', '--qkd', 'off', ...nodes]
    const low = await qat(['init', '--dir', path('low'), ...args, '--cosigners', '4'])
    assert.deepEqual([low.code, /Warning: 4 of 7 cosigners is less than/.test(low.stderr)], [0, true])
    const { membership } = readGenesis(new Uint8Array(await readFile(path('low/genesis.block'))))
    assert.deepEqual(membership.nodeByName.get('n3')?.addresses, ['/ip4/10.0.0.3/tcp/7003'])
    assert.deepEqual(JSON.parse(await readFile(path('low/n3/node.json'), 'utf8')).rpc.port, 8480)
    const all = await qat(['init', '--dir', path('all'), ...args, '--cosigners', '7'])
    assert.match(all.stderr, /Warning: No validator may fail/)
  })
})
