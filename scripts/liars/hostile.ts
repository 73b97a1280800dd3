/**
 * The hostile process: `hostile.ts DIR SEED [ACT...]`, started with a channel. It holds the keys of the node in DIR, goes through
 * all its acts beginning with one that SEED draws, and says what it has told.
 */
import { useNativeCode } from '../../node/crypto/native.ts'
import { readNodeFolder } from '../../node/folder.ts'
import { errorMessage } from '../../src/errors.ts'
import { Random } from '../../test/consensus/sim/random.ts'
import { ACTS } from './acts/all.ts'
import { Member, NotTold } from './hostile/member.ts'
import type { FromHostile, ToHostile } from './messages.ts'

const [dir, seed, ...wanted] = process.argv.slice(2)
if (dir === undefined || seed === undefined || !process.send)
  throw new Error('hostile.ts is run by liars.ts.')

useNativeCode()
let over = false
const tell = (message: FromHostile) => process.send?.(message)
process.once('disconnect', () => process.exit(0))
process.on('message', (message: ToHostile) => {
  if (message.kind === 'end') over = true
})
// A lie that fails does not stop the liar.
process.on('uncaughtException', (error) => console.error(errorMessage(error)))
process.on('unhandledRejection', (error) => console.error(errorMessage(error)))

const answered = (question: FromHostile) =>
  new Promise<void>((resolve) => {
    const heed = ({ kind }: ToHostile) => {
      if (kind !== 'done') return
      process.off('message', heed)
      resolve()
    }
    process.on('message', heed)
    tell(question)
  })
const member = await Member.join({
  dir,
  pause: (node) => answered({ kind: 'pause', node }),
  resume: (node) => answered({ kind: 'resume', node }),
  restart: (node) => answered({ kind: 'restart', node }),
})
const { config } = await readNodeFolder(dir)
const acts = ACTS.filter(({ name, qkd }) => {
  return (wanted.length === 0 || wanted.includes(name)) && (!qkd || config.qkd !== undefined)
})
await member.settle(60_000).catch(() => {})
tell({ kind: 'ready' })

const random = new Random(Number(seed))
let turn = random.int(0, acts.length - 1)
while (!over) {
  const act = acts[turn++ % acts.length]!
  try {
    await member.settle()
    console.error(JSON.stringify({ time: new Date(), act: act.name }))
    await act.run(member)
    tell({ kind: 'told', act: act.name })
  } catch (error) {
    if (!(error instanceof NotTold)) console.error(error)
    tell({ kind: 'failed', act: act.name, why: errorMessage(error) })
    await member.pause(500)
  }
}
await member.stop()
process.exit(0)
