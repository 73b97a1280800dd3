/**
 * Mistakes made on purpose in consensus/spec/ordering.qnt: the invariants must notice each of them.
 * `npm run spec:mutants` tries them.
 */

export type SpecMutant = {
  readonly why: string
  /** Samples from this seed find it at once; without it, a few samples from any seed do. */
  readonly seed?: string
  /** Each text occurs exactly once in the specification. */
  readonly edits: readonly { readonly find: string; readonly replace: string }[]
}

const edit = (find: string, replace: string) => ({ find, replace })

export const SPEC_MUTANTS: readonly SpecMutant[] = [
  {
    why: 'believes a leader that shows no term certificate',
    edits: [edit('      elected(s, t, leader, base),\n', '      stands(s, leader, t, base),\n')],
  },
  {
    why: 'votes for a base without its proof',
    edits: [
      edit('    proven(s, base),\n    enough(s.votes', '    enough(s.votes'),
      edit(
        '      proven(s, base),\n      ranksAtLeast(s, base, node.memory.lock)',
        '      ranksAtLeast(s, base, node.memory.lock)',
      ),
    ],
  },
  {
    why: 'votes for a base below its lock',
    seed: '0x17d4e',
    edits: [edit('      ranksAtLeast(s, base, node.memory.lock),\n', '')],
  },
  {
    why: 'votes again in a term after a restart',
    edits: [edit('voted: voted, disk: found', 'voted: 0, disk: found')],
  },
  {
    why: 'forgets its lock in a restart',
    edits: [
      edit('memory: found, role: "following"', 'memory: { ...found, lock: GENESIS }, role: "following"'),
    ],
  },
  {
    why: 'takes office after a restart with the votes from before it',
    edits: [
      edit(
        'memory: found, role: "following", leader: "", base: GENESIS }',
        'memory: found, role: if (node.role == "following") "following" else "standing", leader: "" }',
      ),
    ],
  },
  {
    why: 'a new leader builds on genesis instead of its base',
    edits: [
      edit(
        '{ ...node.memory, tip: node.base, lock: node.base }',
        '{ ...node.memory, tip: GENESIS, lock: GENESIS }',
      ),
    ],
  },
  {
    why: 'takes blocks of a leader that do not stand on its base',
    seed: '0xf582',
    edits: [
      edit(
        '(s.blocks.get(b).proposer == node.leader and holds(s, b, node.base))',
        's.blocks.get(b).proposer == node.leader',
      ),
    ],
  },
  {
    why: 'takes blocks that another than the leader has sealed',
    seed: '0x995e6',
    edits: [
      edit('(s.blocks.get(b).proposer == node.leader and holds(s, b, node.base))', 'holds(s, b, node.base)'),
    ],
  },
  {
    why: 'replaces a block of the term by another',
    edits: [edit('      term(s, held.tip) == node.term implies holds(s, b, held.tip),\n', '')],
  },
  {
    why: 'gives its lock up for an append that does not reach the base',
    seed: '0x495f1',
    edits: [
      edit('      holds(s, b, held.lock) or holds(s, b, node.base),\n', ''),
      edit(
        'lock: if (stays) lock else node.base }',
        'lock: if (stays) lock else if (holds(s, b, node.base)) node.base else GENESIS }',
      ),
    ],
  },
  {
    why: 'replaces what it has committed',
    seed: '0xefd61',
    edits: [edit('      holds(s, b, node.committed),\n', '')],
  },
  {
    why: 'acknowledges before the block is on the disk',
    seed: '0x2d3d6',
    edits: [
      edit(
        '      holds(s, node.disk.tip, b),\n      term(s, b) == node.term,',
        '      holds(s, node.memory.tip, b),\n      term(s, b) == node.term,',
      ),
    ],
  },
  {
    why: 'acknowledges blocks of earlier terms',
    edits: [edit('      term(s, b) == node.term,\n      node.disk.muted', '      node.disk.muted')],
  },
  {
    why: 'acknowledges on after a proven block has replaced one of the term',
    seed: '0x41c18',
    edits: [edit('      node.disk.muted != node.term,\n', '')],
  },
  {
    why: 'counts a certificate with one acknowledgement too few',
    seed: '0x1c26c',
    edits: [
      edit(
        'b == GENESIS or enough(s.acknowledged.get(b).union(Set(s.blocks.get(b).proposer)))',
        'b == GENESIS or s.acknowledged.get(b).union(Set(s.blocks.get(b).proposer)).union(LIARS).size() >= K - 1',
      ),
    ],
  },
  {
    why: 'puts a lock on the disk without its block',
    seed: '0xa447',
    edits: [
      edit(
        'update(s, n, synced({ ...node, memory: { ...node.memory, lock: b } }))',
        'update(s, n, { ...node, memory: { ...node.memory, lock: b }, disk: { ...node.disk, lock: b } })',
      ),
    ],
  },
  {
    why: 'says that it is locked on a block of an earlier term',
    edits: [
      edit(
        'holds(s, node.disk.lock, b) and b != GENESIS and term(s, b) == node.term',
        'holds(s, node.disk.lock, b) and b != GENESIS',
      ),
    ],
  },
  {
    why: 'decides with one lock statement too few',
    seed: '0x1fc5c',
    edits: [
      edit(
        'b == GENESIS or enough(sayLocked(s, b))',
        'b == GENESIS or sayLocked(s, b).union(LIARS).size() >= K - 1',
      ),
    ],
  },
  {
    why: 'counts lock statements of different terms together',
    seed: '0xd6cc',
    edits: [edit('term(s, said.block) == term(s, b) and holds(s, said.block, b)', 'holds(s, said.block, b)')],
  },
  {
    why: 'decides with acknowledgements alone, without locks',
    seed: '0x1fc5c',
    edits: [edit('b == GENESIS or enough(sayLocked(s, b))', 'certified(s, b)')],
  },
  {
    why: 'a quorum of half the voters',
    edits: [edit('LIARS = Set("d"), K = 3', 'LIARS = Set("d"), K = 2')],
  },
  {
    why: 'one liar more than the quorum bears',
    edits: [edit('LIARS = Set("d"), K = 3', 'LIARS = Set("c", "d"), K = 3')],
  },
]

/** The specification with the mistake. Throws if a place is not there exactly once. */
export function mutated({ why, edits }: SpecMutant, spec: string): string {
  return edits.reduce((text, { find, replace }) => {
    const parts = text.split(find)
    if (parts.length !== 2) throw new Error(`${why}: its place was found ${parts.length - 1} times: ${find}`)
    return parts.join(replace)
  }, spec)
}
