/**
 * Where a command finds its node and what it shows there: the one place in which addresses, tokens and proxies are
 * read. All are checked before anything is sent, and no message repeats them, since any may hold a secret.
 */
import http from 'node:http'
import { CliError } from './exit.ts'

/** Visible ASCII, as RFC 6750 and every HTTP header allow it. */
const TOKEN = /^[\x21-\x7e]+$/

/** Proxies are for other machines: a node on this one is asked directly. */
const DIRECT = ['localhost', '127.0.0.1', '::1', '[::1]']

/** A reader of node addresses; `option` names them in errors. A path, as behind a reverse proxy, is kept. */
export function nodeAddress(option: string): (value: string) => string {
  return (value) => {
    const url = URL.parse(value.trim())
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new CliError('usage', `${option} takes an address such as http://127.0.0.1:8480.`)
    }
    if (url.username !== '' || url.password !== '') {
      const message = `${option} takes no user name or password in the address: give a token by QAT_TOKEN.`
      throw new CliError('usage', message)
    }
    if (url.search !== '' || url.hash !== '') {
      throw new CliError('usage', `${option} takes an address without "?" and "#".`)
    }
    return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
  }
}

/** A bearer token. The end of the line, which many files of tokens have, is no part of it. */
export function bearerToken(value: string): string {
  const token = value.trim()
  if (TOKEN.test(token)) return token
  const what =
    token === '' ? 'is empty' : 'holds a space, a line break or another character that no token has'
  throw new CliError('usage', `The token that --token or QAT_TOKEN gives ${what}. It was not sent.`)
}

/**
 * An environment variable that is set to nothing was not given: compose files and CI systems set them so. But a
 * passphrase of nothing is left to those who make keys, who must not take it for the wish to have none.
 */
export function dropEmptyVariables(env: NodeJS.ProcessEnv): void {
  for (const name of ['QAT_RPC', 'QAT_TOKEN', 'QAT_DEBUG']) if (env[name]?.trim() === '') delete env[name]
}

/** Sends calls to other machines through the proxies of HTTPS_PROXY and HTTP_PROXY, but for those in NO_PROXY. */
export function useProxies(env: NodeJS.ProcessEnv): void {
  const read = (name: string) => env[name.toLowerCase()] || env[name]
  const [https, plain, except] = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'].map(read)
  if (https === undefined && plain === undefined) return
  for (const proxy of [https, plain]) {
    if (proxy === undefined || /^https?:$/.test(URL.parse(proxy)?.protocol ?? '')) continue
    throw new CliError(
      'usage',
      'HTTPS_PROXY and HTTP_PROXY take an address such as http://proxy.example:3128.',
    )
  }
  // Node 24.14 and later have it.
  http.setGlobalProxyFromEnv?.({
    ...(https !== undefined && { HTTPS_PROXY: https }),
    ...(plain !== undefined && { HTTP_PROXY: plain }),
    NO_PROXY: [...(except === undefined ? [] : [except]), ...DIRECT].join(','),
  })
}
