/** What a node can be asked for, by what it knows of itself and of the others. */
import type { ClusterStatus, Readiness } from '../service.ts'

/** Roles of validators that run, and neither vote nor cosign for the time being. */
const APART = ['recovering', 'silent', 'suspended', 'outside', 'unknown']

/**
 * @param takesEntries this node is a member, and its disk works
 * @param stands nothing has been ordered, or has become final, for longer than that should take
 */
export function readinessOf(
  { leader, cosigners, nodes }: Pick<ClusterStatus, 'leader' | 'cosigners' | 'nodes'>,
  takesEntries: boolean,
  stands: boolean,
): Readiness {
  const entries = takesEntries && leader !== undefined
  const present = nodes.filter(
    ({ kind, online, role }) => kind === 'validator' && online && !APART.includes(role),
  )
  return { reads: true, entries, final: entries && !stands && present.length >= cosigners }
}
