/** Where and with what a result was measured: without this, no figure can be compared with another. */
import { readFile, statfs } from 'node:fs/promises'
import { availableParallelism, cpus, platform, release, tmpdir, totalmem } from 'node:os'
import { VERSION } from '../../node/version.ts'
import { round } from './figures.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  /** What the folder is on in which everything is measured. */
  readonly fileSystem: string
}

/** ext2/3/4 share a number; others by their magic in the kernel's magic.h. */
const FILE_SYSTEMS: Record<number, string> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlay',
}

export async function machineOf(dir = tmpdir()): Promise<Machine> {
  const { type } = await statfs(dir)
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    fileSystem: FILE_SYSTEMS[type] ?? `type ${type.toString(16)}`,
  }
}

/** Of ourselves and of what we stand on; what is measured beside us is added by whoever measures it. */
export function ownVersions(): Record<string, string> {
  return {
    'quantum-audit-trail': VERSION,
    node: process.versions.node,
    openssl: process.versions.openssl,
  }
}

/** Resident memory of a process in bytes, where the system tells. */
export interface Memory {
  /** The highest since it began. */
  readonly peak: number
  /** Files that are mapped, such as LevelDB's tables: the kernel takes these back when it needs them. */
  readonly mapped: number
}

export async function memoryOf(pid: number): Promise<Memory | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024
  const peak = bytes('VmHWM')
  return Number.isNaN(peak) ? undefined : { peak, mapped: bytes('RssFile') }
}

/** Bytes that a process has had written to disks, where the system tells. */
export async function diskBytesOf(pid: number): Promise<number | undefined> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '')
  const bytes = /^write_bytes: (\d+)/m.exec(io)?.[1]
  return bytes === undefined ? undefined : Number(bytes)
}
