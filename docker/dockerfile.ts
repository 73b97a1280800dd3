/** Reads the part of the Dockerfile language that ours uses, strictly: what is not known here is refused. */

export interface Step {
  /** In capitals, such as COPY. */
  readonly instruction: string
  /** `--from=build` as ['from', 'build']. */
  readonly flags: ReadonlyMap<string, string>
  /** What follows the flags, continued lines joined. */
  readonly text: string
  /** The words of the exec form, `["node", "x.js"]`; undefined in the shell form. */
  readonly exec: readonly string[] | undefined
}

export interface Stage {
  readonly name: string | undefined
  /** The image of FROM, with ARGs filled in. */
  readonly base: string
  readonly steps: readonly Step[]
}

export class DockerfileError extends Error {}

const INSTRUCTIONS = new Set([
  ...[
    'CMD',
    'COPY',
    'ENTRYPOINT',
    'ENV',
    'EXPOSE',
    'HEALTHCHECK',
    'LABEL',
    'RUN',
    'USER',
    'VOLUME',
    'WORKDIR',
  ],
])

/** Throws DockerfileError with the line that is not understood. */
export function parseDockerfile(source: string): Stage[] {
  const args = new Map<string, string>()
  const stages: { name: string | undefined; base: string; steps: Step[] }[] = []
  for (const line of logicalLines(source)) {
    const [, instruction = '', rest = ''] = /^([A-Z]+) +(.+)$/.exec(line) ?? []
    const stage = stages.at(-1)
    if (instruction === 'FROM') {
      const [, base = '', name] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? []
      stages.push({ name, base: fill(base, args), steps: [] })
    } else if (instruction === 'ARG' && stage === undefined) {
      const [, name = '', value = ''] = /^(\w+)=(\S+)$/.exec(rest) ?? []
      args.set(name, value)
    } else if (INSTRUCTIONS.has(instruction) && stage !== undefined) {
      stage.steps.push(parseStep(instruction, rest))
    } else {
      throw new DockerfileError(`This line is not understood here: ${line}`)
    }
  }
  return stages
}

/** The pairs of ENV and LABEL, `name=value name="value with spaces"`. */
export function parsePairs(text: string): Map<string, string> {
  const pairs = [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))(?:\s+|$)/gy)]
  if (pairs.map(([all]) => all).join('') !== text) {
    throw new DockerfileError(`These are not name=value pairs: ${text}`)
  }
  return new Map(pairs.map(([, name = '', quoted, bare]) => [name, quoted ?? bare ?? '']))
}

function logicalLines(source: string): string[] {
  const lines = source.split('\n').filter((line) => !/^\s*(?:#|$)/.test(line))
  return lines
    .join('\n')
    .replace(/\s*\\\n\s*/g, ' ')
    .split('\n')
}

function parseStep(instruction: string, rest: string): Step {
  const flags = new Map<string, string>()
  const text = rest.replace(/^(?:--[a-z-]+=\S+\s+)*/, (words) => {
    for (const [, name = '', value = ''] of words.matchAll(/--([a-z-]+)=(\S+)/g)) flags.set(name, value)
    return ''
  })
  // A health check has a command in either form behind a word of its own.
  const form = instruction === 'HEALTHCHECK' ? text.replace(/^CMD +/, '') : text
  const isExec = form.startsWith('[')
  return { instruction, flags, text, exec: isExec ? execWords(form) : undefined }
}

function execWords(text: string): string[] {
  const words: unknown = JSON.parse(text)
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) {
    throw new DockerfileError(`The exec form is a list of strings: ${text}`)
  }
  return words
}

function fill(text: string, args: ReadonlyMap<string, string>): string {
  return text.replace(/\$\{(\w+)\}/g, (whole, name: string) => args.get(name) ?? whole)
}
