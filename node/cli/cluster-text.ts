/** What stands in the way of a cluster, in sentences, by what one node says of the others. */
import { counted } from './output.ts'

/** A node of the cluster, as `cluster.status` shows it. */
export interface SeenNode {
  readonly name: string
  readonly kind: string
  readonly role: string
  readonly online: boolean
}

/** Roles of nodes that run, and neither vote nor cosign for the time being. */
const APART: Readonly<Record<string, string>> = {
  recovering: 'recovering',
  silent: 'connected and says nothing of itself (see "qat status" of that node)',
  suspended: 'suspended, for want of disk space',
  outside: 'outside of the membership, as it knows it',
}

/** Why blocks are not ordered, or not certified, now; none if they can be. */
export function obstacles(
  nodes: readonly SeenNode[],
  leader: string | undefined,
  cosigners: number,
): string[] {
  const validators = nodes.filter(({ kind }) => kind === 'validator')
  const { length } = validators
  const away = validators.flatMap((node) => {
    if (!node.online && node.role !== 'silent') return [`${node.name} is offline`]
    const apart = APART[node.role]
    return apart === undefined ? [] : [`${node.name} is ${apart}`]
  })
  const present = length - away.length
  const who = `of ${counted(length, 'validator')} ${present} can take part: ${away.join(', ')}.`
  if (present < cosigners) return [`Nothing can be ordered: that takes ${cosigners}, and ${who}`]
  return leader === undefined ? ['There is no leader at the moment; an election takes a few seconds.'] : []
}
