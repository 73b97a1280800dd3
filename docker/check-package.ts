/** Checks what `npm publish` would send out. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Folders and files of the package, besides what npm always adds: package.json, README and LICENSE. */
const ALLOWED = [
  /^dist\/(?:src|consensus|node)\/.+\.(?:js|js\.map|d\.ts)$/,
  /^node\/bin\/[\w-]+\.js$/,
  /^src\/FORMATS\.md$/,
  /^(?:package\.json|README\.md|LICENSE)$/,
]

/** Throws if the package of `folder`, which is built, lacks something or holds what does not belong there. */
export function checkPackage(folder: string): void {
  const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const paths = packedPaths(JSON.parse(listed))
  for (const path of paths) {
    assert.ok(
      ALLOWED.some((pattern) => pattern.test(path)),
      `${path} does not belong in the package`,
    )
  }
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const promised = [
    'LICENSE',
    'dist/node/cli/main.js',
    ...targets(manifest.bin),
    ...targets(manifest.exports),
  ]
  for (const path of promised) {
    assert.ok(paths.includes(path), `the package promises ${path} and does not hold it`)
    assert.ok(existsSync(join(folder, path)))
  }
}

/** Imports every module that the package exports, by its public name, in `folder`, where it is installed. */
export function checkExports(folder: string): void {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const names = Object.keys(manifest.exports).filter((name) => !name.endsWith('.json'))
  const imports = names.map((name) => `await import('${manifest.name}${name.slice(1)}')`)
  const script = ['--input-type=module', '-e', imports.join('; ')]
  execFileSync(process.execPath, script, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
}

function packedPaths(report: { files: { path: string }[] }[]): string[] {
  return report.flatMap(({ files }) => files.map(({ path }) => path))
}

/** The files that "bin" or "exports" lead to, whatever the conditions. */
function targets(value: unknown): string[] {
  if (typeof value === 'string') return [value.replace(/^\.\//, '')]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(targets) : []
}
