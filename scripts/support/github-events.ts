/** The GitHub webhook payloads of @octokit/webhooks-examples (MIT) as CloudEvents, for the demo and `npm start`. */
import { createRequire } from 'node:module'
import type { Json, JsonObject } from '../../src/json.ts'

interface Example {
  readonly name: string
  readonly examples: readonly JsonObject[]
}

/** Every example payload once: 329 events of 58 kinds. Ids are fixed, so that a second run finds them recorded. */
export function githubEvents(): JsonObject[] {
  const kinds = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly Example[]
  return kinds.flatMap(({ name, examples }) =>
    examples.map((payload, i) => {
      const action = typeof payload.action === 'string' ? `.${payload.action}` : ''
      return {
        specversion: '1.0',
        id: `octokit-example-${name}-${i}`,
        source: urlOf(payload.repository) ?? urlOf(payload.organization) ?? 'https://github.com',
        type: `com.github.${name}${action}`,
        subject: subjectOf(payload) ?? name,
        time: '2026-01-31T12:00:00Z',
        datacontenttype: 'application/json',
        data: payload,
      }
    }),
  )
}

function urlOf(value: Json | undefined): string | undefined {
  const url = member(value, 'html_url') ?? member(value, 'url')
  return typeof url === 'string' ? url : undefined
}

/** What the event is about, by the first of these that the payload has. */
function subjectOf(payload: JsonObject): string | undefined {
  const commit = payload.after ?? payload.sha ?? member(payload.workflow_run, 'head_sha')
  if (typeof commit === 'string') return `commit/${commit}`
  for (const thing of ['pull_request', 'issue', 'release', 'deployment', 'check_run', 'workflow_job']) {
    const id = member(payload[thing], 'number') ?? member(payload[thing], 'id')
    if (typeof id === 'number') return `${thing}/${id}`
  }
  return undefined
}

function member(value: Json | undefined, name: string): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined
}
