/** A devnet goes on without a node that has forgotten what it signed. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { qat, scratch, untilPrinted } from '../cli/run-qat.ts'
import { until } from '../support/cluster.ts'
import { freeDevnetPort } from '../support/free-ports.ts'

describe('a devnet of which a node has lost its store', function () {
  this.timeout(120_000)
  const { path } = scratch()

  it('says which command gives it new keys, and the node takes part again', async () => {
    const at = ['devnet', '--dir', path('net'), '--port', String(await freeDevnetPort(4))]
    const once = await started(at)
    once.parent.kill('SIGINT')
    await once.ended
    await rm(path('net', 'delta', 'store'), { recursive: true })
    const { parent, told, ended } = await started(at)
    const [, command] = /^delta may have forgotten [^\n]+\n +qat (rotate .+)$/m.exec(told)!
    const { code, stderr } = await qat(command!.split(' '))
    assert.equal(code, 0, stderr)
    const rpc = /http:[^ ]+/.exec(/^delta .*$/m.exec(told)![0])![0]
    const role = async () => (await qat(['status', '--rpc', rpc])).stdout
    await until(async () => /^delta +validator +(follower|leader) /m.test(await role()))
    parent.kill('SIGINT')
    await ended
  })

  /** A devnet that has said that it is up, and what it has printed until then. */
  async function started(args: string[]) {
    let parent: ChildProcess | undefined
    const ended = qat(args, {
      during: (child) => {
        parent = child
      },
    })
    return { ended, told: await untilPrinted(parent!, /Ctrl-C/), parent: parent! }
  }
})
