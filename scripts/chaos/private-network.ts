/**
 * A network that can be cut: this process in a network namespace of its own, and one more for each node,
 * joined by a bridge. No namespace has a name, so each lives only as long as a process in it: however a run
 * ends, the kernel takes bridge, links and routes away, and nothing outside was ever touched.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { stopRequest } from '../../node/cli/stop-request.ts'

const run = promisify(execFile)

/** Set in the environment of the process that runs inside. */
const INSIDE = 'QAT_CHAOS_PRIVATE_NETWORK'
const BRIDGE = 'qat'
const GATEWAY = '10.86.0.1'
const FIRST_HOST = 11

export function isInside(): boolean {
  return process.env[INSIDE] === '1'
}

/** Whether this machine lets us make namespaces, bridges and links: as root, outside of most containers. */
export async function canIsolate(): Promise<boolean> {
  const probe = `ip link set lo up && ip link add ${BRIDGE} type bridge && command -v nsenter`
  return run('unshare', ['--net', '--', 'sh', '-c', probe]).then(
    () => true,
    () => false,
  )
}

/** Runs this same command again inside a network namespace of its own; its exit code. */
export async function rerunInside(): Promise<number> {
  const child = spawn(
    'unshare',
    ['--net', '--', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      // The channel carries nothing: it closes when this process dies, and the other then stops as well.
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [INSIDE]: '1' },
    },
  )
  void stopRequest().then(() => child.kill('SIGTERM'))
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

/** The nodes' side, made and used by the process inside. */
export class PrivateNetwork {
  readonly #names: readonly string[]
  /** A process that does nothing but keep its namespace; it ends when its standard input does. */
  readonly #holders = new Map<string, ChildProcess>()

  private constructor(names: readonly string[]) {
    this.#names = names
  }

  static async open(names: readonly string[]): Promise<PrivateNetwork> {
    await ip('link', 'set', 'lo', 'up')
    await ip('link', 'add', BRIDGE, 'type', 'bridge')
    await ip('address', 'add', `${GATEWAY}/24`, 'dev', BRIDGE)
    await ip('link', 'set', BRIDGE, 'up')
    const network = new PrivateNetwork(names)
    for (const name of names) await network.#join(name)
    return network
  }

  /** The address of a node. */
  host(name: string): string {
    return `10.86.0.${FIRST_HOST + this.#names.indexOf(name)}`
  }

  /** The command that runs another one in the namespace of a node, under the same process id. */
  through(name: string): string[] {
    return ['nsenter', '--target', String(this.#holders.get(name)!.pid), '--net', '--']
  }

  /** From now on nothing that `from` sends reaches `to`. */
  async cut(from: string, to: string): Promise<void> {
    await this.#inside(from, 'ip', 'route', 'add', 'blackhole', `${this.host(to)}/32`)
  }

  async mend(from: string, to: string): Promise<void> {
    await this.#inside(from, 'ip', 'route', 'del', 'blackhole', `${this.host(to)}/32`)
  }

  /** Takes a node off the network, for clients as well. */
  async unplug(name: string): Promise<void> {
    await ip('link', 'set', this.#link(name), 'down')
  }

  async plug(name: string): Promise<void> {
    await ip('link', 'set', this.#link(name), 'up')
  }

  close(): void {
    for (const holder of this.#holders.values()) holder.stdin?.end()
  }

  async #join(name: string): Promise<void> {
    const holder = spawn('unshare', ['--net', '--', 'sh', '-c', 'echo; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Ctrl-C is for us: we end the nodes first.
      detached: true,
    })
    this.#holders.set(name, holder)
    await once(holder.stdout!, 'data')
    const link = this.#link(name)
    await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid))
    await ip('link', 'set', link, 'master', BRIDGE, 'up')
    await this.#inside(name, 'ip', 'address', 'add', `${this.host(name)}/24`, 'dev', 'eth0')
    await this.#inside(name, 'ip', 'link', 'set', 'eth0', 'up')
    await this.#inside(name, 'ip', 'link', 'set', 'lo', 'up')
  }

  /** Interface names have fifteen characters at most. */
  #link(name: string): string {
    return `qat-${name}`.slice(0, 15)
  }

  async #inside(name: string, ...command: readonly string[]): Promise<void> {
    const [program, ...args] = [...this.through(name), ...command]
    await run(program!, args)
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await run('ip', [...args])
}
