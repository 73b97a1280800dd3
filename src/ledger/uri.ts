/** URIs and URI references by the grammar of RFC 3986, for engines' own parsers repair what they read. */

/** Appendix B: every text has these parts; whether they are well-formed is another question. */
const PARTS = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#([\s\S]*))?$/
const SCHEME = /^[a-z][a-z0-9+.-]*$/i
const AUTHORITY =
  /^(?:(?:[a-z0-9._~!$&'()*+,;=:-]|%[0-9a-f]{2})*@)?(?:\[([^\]]*)\]|(?:[a-z0-9._~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::[0-9]*)?$/i
const PATH = /^(?:[a-z0-9._~!$&'()*+,;=:@/-]|%[0-9a-f]{2})*$/i
const QUERY = /^(?:[a-z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*$/i
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
const IP_FUTURE = /^v[0-9a-f]+\.[a-z0-9._~!$&'()*+,;=:-]+$/i

/** Whether `text` is a URI or a relative reference, such as `/ci/build`. An empty text is one. */
export function isUriReference(text: string): boolean {
  const [, scheme, authority, path = '', query = '', fragment = ''] = PARTS.exec(text)!
  return (
    (scheme === undefined || SCHEME.test(scheme)) &&
    (authority === undefined || isAuthority(authority)) &&
    // Else it would be a scheme.
    (scheme !== undefined || authority !== undefined || !/^[^/]*:/.test(path)) &&
    PATH.test(path) &&
    QUERY.test(query) &&
    QUERY.test(fragment)
  )
}

/** Whether `text` is a URI: it has a scheme, and so means the same everywhere. */
export function isUri(text: string): boolean {
  return PARTS.exec(text)![1] !== undefined && isUriReference(text)
}

function isAuthority(text: string): boolean {
  const parts = AUTHORITY.exec(text)
  if (parts === null) return false
  const literal = parts[1]
  return literal === undefined || isIpv6(literal) || IP_FUTURE.test(literal)
}

/** RFC 4291 section 2.2: eight groups, of which `::` stands for one or more. */
function isIpv6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const last = halves.at(-1) === '' ? undefined : groups.at(-1)
  const isMapped = last !== undefined && IPV4.test(last)
  if (isMapped) groups.splice(-1, 1, '0', '0')
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  return halves.length === 2 ? groups.length <= 7 : groups.length === 8
}
