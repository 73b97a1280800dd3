/** Messages, states and transcripts for people. */
import type { Message } from '../../consensus/messages.ts'
import type { Certified, Configuration, Status } from '../../consensus/types.ts'

export function brief(message: Message): string {
  const head = `${message.kind} t${message.term}`
  switch (message.kind) {
    case 'pre-vote':
      return `${head} base ${message.base.height}/${message.base.term}`
    case 'vote':
      return `${head} base ${proven(message.base)}`
    case 'pre-vote-reply':
      return `${head} ${message.granted ? 'yes' : 'no'}`
    case 'vote-reply':
      return `${head} ${message.signature ? 'yes' : 'no'}`
    case 'lead': {
      const votes = message.votes.map(({ from }) => from).join('')
      return `${head} leader ${message.leader} base ${proven(message.base)} votes ${votes}`
    }
    case 'append': {
      const blocks = message.blocks.map((block) => block.hash).join(' ')
      return `${head} prev ${message.prev.hash} [${blocks}]`
    }
    case 'append-reply':
      return `${head} match ${message.match}`
    case 'append-reject':
      return `${head} rejected ${message.rejected} hint ${message.hint.height}/${message.hint.term}`
    case 'acknowledge':
    case 'locked':
      return `${head} ${message.hash}`
    case 'ask':
      return `${head}${message.knowsLeader ? '' : ' for the leader'}`
    case 'heartbeat':
      return `${head} round ${message.round}`
    case 'heartbeat-reply':
      return `${head} commit ${message.commit} round ${message.round}`
    case 'behind':
      return `${head} commit ${message.commit}`
    case 'timeout-now':
      return `${head} to ${message.to}`
    case 'complaint':
      return head
  }
}

/** A block, and who has acknowledged it beside its proposer. */
function proven({ block, proof }: Certified): string {
  if (proof.kind !== 'acknowledgements') return `${block.hash} by ${proof.kind}`
  return `${block.hash} by ${proof.acknowledgements.map(({ from }) => from).join('')}`
}

/** Voters, and behind a plus sign the learners: `abc+d`. */
export function members({ voters, learners }: Configuration): string {
  return voters.join('') + (learners.length > 0 ? `+${learners.join('')}` : '')
}

export function show({ id, role, term, leader, commit, stable, tail, certified, progress }: Status): string {
  const followers = Object.entries(progress).map(
    ([name, { state, match, next }]) => ` ${name}:${state} ${match}<${next}`,
  )
  const place = `commit ${commit} lock ${certified.hash} stable ${stable} tail ${tail.hash}`
  return `${id}: ${role} t${term} leader ${leader ?? '-'} ${place}${followers.join('')}`
}

/** A Mermaid sequence diagram: paste it into any Markdown viewer to see what a failing scenario did. */
export function diagram(nodes: readonly string[], lines: readonly string[]): string {
  const out = ['sequenceDiagram', ...nodes.map((node) => `  participant ${node}`)]
  for (const line of lines) {
    const message = /^(\w) -([>x]) (\w) (.*)$/.exec(line)
    const note = /^(\w) (.*)$/.exec(line)
    if (message !== null) {
      const arrow = message[2] === 'x' ? '-x' : '->>'
      out.push(`  ${message[1]}${arrow}${message[3]}: ${message[4]}`)
    } else if (note !== null) out.push(`  note over ${note[1]}: ${note[2]}`)
  }
  return out.join('\n')
}
