/**
 * Builds an image without Docker: a folder stands for each stage's file system, this machine for the base image.
 * It shows that the steps of a Dockerfile lead to something that runs. It shows nothing about isolation or the
 * base image itself.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DockerfileError, parsePairs, type Stage, type Step } from './dockerfile.ts'

export interface Image {
  /** The folder that stands for `/`. */
  readonly root: string
  /** As in the image, such as /app. */
  readonly workdir: string
  /** By number; undefined is root. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly healthcheck: readonly string[]
}

export interface Rehearsal {
  readonly stages: readonly Stage[]
  /** The build context, .dockerignore applied. */
  readonly context: string
  /** An empty folder to build in. */
  readonly scratch: string
  readonly onStep: (step: Step) => void
}

interface Draft {
  root: string
  workdir: string
  user: { uid: number; gid: number } | undefined
  env: Record<string, string>
  entrypoint: readonly string[]
  cmd: readonly string[]
  healthcheck: readonly string[]
}

/** Runs every step of every stage; the image of the last. Throws with the output of a step that fails. */
export function rehearse({ stages, context, scratch, onStep }: Rehearsal): Image {
  const built = new Map<string, Draft>()
  for (const [number, stage] of stages.entries()) {
    const root = join(scratch, `stage${number}`)
    mkdirSync(root)
    const draft: Draft = {
      root,
      workdir: '/',
      user: undefined,
      env: {},
      entrypoint: [],
      cmd: [],
      healthcheck: [],
    }
    built.set(stage.name ?? '', draft)
    for (const step of stage.steps) {
      onStep(step)
      take(step, draft, (from) => {
        const source = from === undefined ? context : built.get(from)?.root
        if (source === undefined) throw new DockerfileError(`There is no stage ${from}.`)
        return source
      })
    }
    if (number === stages.length - 1) return draft
  }
  throw new DockerfileError('The Dockerfile has no stage.')
}

/** Where a path of the image is on this machine. */
export function pathIn(image: Pick<Image, 'root' | 'workdir'>, path: string): string {
  return path.startsWith('/') ? join(image.root, path) : join(image.root, image.workdir, path)
}

function take(step: Step, draft: Draft, sourceOf: (stage: string | undefined) => string): void {
  const { instruction, flags, text, exec } = step
  switch (instruction) {
    case 'WORKDIR':
      draft.workdir = text
      mkdirSync(pathIn(draft, '.'), { recursive: true })
      break
    case 'ENV':
      Object.assign(draft.env, Object.fromEntries(parsePairs(text)))
      break
    case 'COPY':
      copy(text.split(/\s+/), sourceOf(flags.get('from')), draft)
      break
    case 'RUN':
      run(text, draft)
      break
    case 'USER':
      draft.user = parseUser(text)
      break
    case 'ENTRYPOINT':
      draft.entrypoint = exec ?? []
      break
    case 'CMD':
      draft.cmd = exec ?? []
      break
    case 'HEALTHCHECK':
      draft.healthcheck = exec ?? []
      break
  }
}

/** COPY: a folder's content goes into the target; a file becomes the target, or goes into it if it ends in `/`. */
function copy(words: readonly string[], root: string, draft: Draft): void {
  const [target = '', ...sources] = words.toReversed()
  for (const source of sources) {
    const from = join(root, source)
    const isFile = statSync(from).isFile()
    const to = isFile && target.endsWith('/') ? join(target, basename(source)) : target
    mkdirSync(dirname(pathIn(draft, to)), { recursive: true })
    cpSync(from, pathIn(draft, to), { recursive: true, verbatimSymlinks: true })
  }
}

function parseUser(text: string): { uid: number; gid: number } {
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(text) ?? []
  if (uid === undefined) throw new DockerfileError(`A user is <uid>:<gid>, not ${text}`)
  return { uid: Number(uid), gid: Number(gid) }
}

function run(command: string, draft: Draft): void {
  // Outside a container, an absolute path would be one of this machine.
  if (/(?:^|[\s=><"'])[/~]/.test(command)) {
    throw new DockerfileError(`A step to be rehearsed names no absolute path: ${command}`)
  }
  const path = `${dirname(process.execPath)}:${process.env.PATH}`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd: pathIn(draft, '.'),
    env: { ...process.env, ...draft.env, PATH: path },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`RUN ${command} failed.\n${stdout}${stderr}`)
}
