/** What the honest nodes hold after a run: read from the outside, to be judged. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readEvidenceFolder } from '../../node/evidence-folder.ts'
import { FILES } from '../../node/folder.ts'
import { createClient } from '../../node/rpc/client.ts'
import { QUERY_LIMIT_MAX } from '../../node/rpc/limits.ts'
import type { BlockView } from '../../node/service.ts'
import type { Json } from '../../src/json.ts'
import { type Entry, entryFromJson } from '../../src/ledger/entry.ts'
import type { Evidence } from '../../src/ledger/evidence.ts'
import { EVIDENCE_EVENT_TYPE } from '../../src/ledger/evidence-event.ts'

/** Blocks asked for at once. */
const WIDTH = 8
const ANSWER_MS = 30_000

/** Hashes of a node's blocks, by height, up to `top`. */
export async function hashesOf(url: string, top: number): Promise<(string | undefined)[]> {
  const client = createClient(url, { timeoutMs: ANSWER_MS })
  const hashes: (string | undefined)[] = Array.from({ length: top + 1 })
  let next = 0
  const worker = async () => {
    for (let height = next++; height <= top; height = next++) {
      hashes[height] = (await client.call<BlockView>('block.get', { height })).hash
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  return hashes
}

/** In the folders of these nodes; undefined for a piece that cannot be read. */
export async function keptEvidence(dirs: readonly string[]): Promise<(Evidence | undefined)[]> {
  const folders = await Promise.all(dirs.map((dir) => readEvidenceFolder(join(dir, FILES.evidence))))
  return folders.flat().map(({ evidence }) => evidence)
}

/** Entries of the ledger that say they are evidence. */
export async function recordedEvidence(url: string): Promise<Entry[]> {
  const client = createClient(url, { timeoutMs: ANSWER_MS })
  const page = await client.call<{ readonly entries: readonly { readonly entry: Json }[] }>('entry.query', {
    type: EVIDENCE_EVENT_TYPE,
    limit: QUERY_LIMIT_MAX,
  })
  return page.entries.map(({ entry }) => entryFromJson(entry))
}

/** The most memory that a process has had, in MiB; 0 if it is gone. */
export async function rssMaxMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024)
}
