/** Sending the log to followers: how much, from where, and what to do when memory does not reach back. */
import type { Core } from './core.ts'
import { refOf } from './log.ts'
import type { Progress } from './progress.ts'
import type { NodeId } from './types.ts'

/** Sends what `to` lacks, as far as its progress lets appends run ahead. */
export function replicate(core: Core, to: NodeId): void {
  const progress = core.progress.get(to)!
  while (progress.canSend && progress.next <= core.log.tail.height) {
    if (!append(core, to, progress, true)) return
  }
}

/** An append without blocks: its answer shows whether an earlier one was lost. */
export function compare(core: Core, to: NodeId): void {
  const progress = core.progress.get(to)!
  if (progress.state !== 'catching-up') append(core, to, progress, false)
}

function append(core: Core, to: NodeId, progress: Progress, full: boolean): boolean {
  const { log, term } = core
  const prev = log.at(progress.next - 1)
  if (prev === undefined) {
    progress.fallBehind()
    tellBehind(core, to)
    return false
  }
  const base = core.lead?.base.block.height ?? 0
  const blocks = full ? log.batchOver(progress.next, base) : []
  core.send(to, { kind: 'append', term, prev: refOf(prev), blocks })
  const last = blocks.at(-1)
  if (last !== undefined) progress.sent(last.height)
  return true
}

export function tellBehind(core: Core, to: NodeId): void {
  core.send(to, { kind: 'behind', term: core.term, commit: core.log.commit })
}
