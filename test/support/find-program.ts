/** Programs that a test uses where they are installed. */
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export interface Program {
  readonly path: string
  /** What it prints on both streams. */
  run(
    args: readonly string[],
    timeoutMs?: number,
  ): Promise<{ readonly code: number; readonly output: string }>
}

/** Undefined if there is none of that name on the path. */
export async function findProgram(name: string): Promise<Program | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!found) continue
    return {
      path,
      run: (args, timeoutMs = 60_000) =>
        new Promise((resolve) => {
          execFile(path, [...args], { timeout: timeoutMs }, (error, stdout, stderr) => {
            const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0
            resolve({ code, output: stdout + stderr })
          })
        }),
    }
  }
  return undefined
}
