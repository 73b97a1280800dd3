/**
 * Seeds that once found a fault. A seed's meaning changes with the code that draws from it, so today each is no
 * more than one further cluster; what it found then is held by the rules of the judge, and by the tests named.
 */
import type { Order } from './fleet.ts'

export const REGRESSIONS: readonly (Order & { readonly found: string })[] = [
  {
    seed: 26,
    options: { liars: 0 },
    found:
      'A leader refused an entry before its submitter had begun to wait, and the node died of the rejection.',
  },
  {
    seed: 2,
    options: { liars: 0 },
    found: 'An event sent again through another node was recorded twice, once for each of two leaders.',
  },
  {
    seed: 5,
    options: { liars: 0 },
    found: 'An entry was called pending when time was up, though it stood on no disk, and a crash lost it.',
  },
  {
    seed: 2001,
    options: {},
    found: 'A write that had seemed to fail applied an entry, which its node went on forwarding for ever.',
  },
  {
    seed: 1,
    options: { admins: 1, liars: 0, oldCopies: 0 },
    found: 'Gossip by a member that the receiver did not know yet was held against whoever passed it on.',
  },
  {
    seed: 26,
    options: { admins: 1, liars: 0, oldCopies: 0 },
    found: 'A node that had recovered refused to cosign a change, and nothing became final any more.',
  },
  {
    seed: 131,
    options: { admins: 2, liars: 0, oldCopies: 0 },
    found: 'On a short chain a learner that was not there was made a voter, and the cluster stood still.',
  },
  {
    seed: 231,
    options: { admins: 2, liars: 0, oldCopies: 0 },
    found: 'An entry of a submitter that had been removed stayed on a disk and was tried at every start.',
  },
  {
    seed: 31,
    options: {},
    found: 'A node outside whose new keys a change waited for was not told to take them up.',
  },
  {
    seed: 133,
    options: {},
    found:
      'The only node with the certificate of a change came back under an identity that the change brought.',
  },
  {
    seed: 142,
    options: {},
    found: 'A change was proposed while the one before waited for a node that was recovering.',
  },
  {
    seed: 5068,
    options: { admins: 1, liars: 0 },
    found:
      'A node outside that heard of blocks to come went on asking for them, and did not find that it was out.',
  },
  {
    seed: 10102,
    options: { admins: 1, liars: 0 },
    found: 'An entry whose submitter was removed while its signature was verified came into a block.',
  },
  {
    seed: 20100,
    options: {},
    found: 'A cluster that an old copy of a disk had divided did not say so.',
  },
  {
    seed: 7,
    options: { liars: 1, nodes: 4, admins: 0 },
    found: 'A leader that lied could refuse any entry for good.',
  },
  {
    seed: 127,
    options: { liars: 1 },
    found: 'A node said that it held blocks, when proven ones had taken their place a moment before.',
  },
  {
    seed: 140,
    options: { liars: 2, nodes: 7 },
    found:
      'Genesis ranked as high as a candidate said, and an honest node signed two votes of a term for two ranks.',
  },
  {
    seed: 148,
    options: { liars: 2, nodes: 7 },
    found: 'Entries of a node that a leader left in a later term were never ordered.',
  },
  {
    seed: 2354,
    options: { liars: 0 },
    found:
      'A node took a block that a later leader had replaced while it asked for one that it had forgotten.',
  },
]
