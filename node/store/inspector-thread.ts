/** What a thread of `inspector-threads.ts` does: signatures are verified right here, without libuv's pool between. */
import { parentPort, workerData } from 'node:worker_threads'
import { invariant } from '../../src/errors.ts'
import { readGenesis } from '../../src/ledger/genesis.ts'
import { useNativeCode } from '../crypto/native.ts'
import { opensslInThread } from '../crypto/openssl.ts'
import type { Answer, Question } from '../thread-pool.ts'
import { BlockInspector, type Inspection } from './block-inspector.ts'
import type { InspectorQuestion } from './inspector-threads.ts'

invariant(parentPort, 'This module is the inside of a thread.')
const port = parentPort
useNativeCode()
const inspector = new BlockInspector(opensslInThread, readGenesis(workerData as Uint8Array))

port.on('message', async ({ number, question }: Question<InspectorQuestion>) => {
  if ('change' in question) inspector.change(question.change)
  else {
    const answer = await inspector.inspect(question.place, question.bytes)
    port.postMessage({ number: number!, answer } satisfies Answer<Inspection>)
  }
})
