/**
 * The files of src/ as a browser can load them: types stripped, one HTTP server on the loopback address, bare
 * specifiers resolved by an import map. No bundler, so what runs in the browser is what stands in the repository.
 */
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'

const ROOT = new URL('../../', import.meta.url)
/** Nothing else of the repository is served; a path holds no dot segments, for URLs have none left. */
const SERVED =
  /^\/(?:src\/[\w/-]+\.ts|node_modules\/(?:@noble\/(?:hashes|curves|post-quantum)|canonicalize)\/[\w/-]+\.js)$/

const IMPORT_MAP = {
  imports: {
    '@noble/hashes/': '/node_modules/@noble/hashes/',
    '@noble/curves/': '/node_modules/@noble/curves/',
    '@noble/post-quantum/': '/node_modules/@noble/post-quantum/',
    canonicalize: '/node_modules/canonicalize/lib/canonicalize.js',
  },
}

/** The page takes the package as a program would, and leaves it where the test finds it. */
const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Light client</title>
<link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify(IMPORT_MAP)}</script>
<script type="module">
  globalThis.qat = await import('/src/index.ts')
</script>
`

export interface Site {
  readonly url: string
  close(): Promise<void>
}

/** Listens on a free port of 127.0.0.1. */
export async function serveLightClient(): Promise<Site> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    try {
      const [type, body] = await load(pathname)
      response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, close: () => closeServer(server) }
}

async function load(pathname: string): Promise<[type: string, body: string]> {
  if (pathname === '/') return ['text/html', PAGE]
  if (!SERVED.test(pathname)) throw new Error(`${pathname} is not served.`)
  const source = await readFile(new URL(`.${pathname}`, ROOT), 'utf8')
  return ['text/javascript', pathname.endsWith('.ts') ? stripTypeScriptTypes(source) : source]
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())))
}
