/**
 * Which names and addresses a node is called by. A page that a browser has loaded from elsewhere can have its own name
 * resolve to this node (DNS rebinding), and would then count as the node's own; it cannot change the name that it asks
 * for.
 */

/** Spelled as in a `Host` header: without the port, in lower case; undefined if it is no host. */
export function hostOf(header: string | undefined): string | undefined {
  const [, bracketed, plain] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(header ?? '') ?? []
  return (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '')
}

/**
 * @param names what the node is configured for: host names and addresses, without ports
 * @param localAddress the address of this machine that the connection came to
 */
export function isOwnHost(host: string, names: readonly string[], localAddress: string | undefined): boolean {
  return (
    isLoopback(host) ||
    host === localAddress?.replace(/^::ffff:(?=[0-9.]+$)/, '') ||
    names.some((name) => name.toLowerCase() === host)
  )
}

/** Names of loopback by RFC 6761, and its addresses. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    /^127(?:\.\d{1,3}){3}$/.test(host)
  )
}
