/** Media types as CloudEvents' `datacontenttype` has them: RFC 2045 section 5.1, in the grammar of RFC 9110. */

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const MEDIA_TYPE = new RegExp(
  `^${TOKEN}/(${TOKEN})(?:[ \\t]*;[ \\t]*(?:${TOKEN}=(?:${TOKEN}|"(?:[^"\\\\]|\\\\.)*"))?)*$`,
)

export function isMediaType(text: string): boolean {
  return MEDIA_TYPE.test(text)
}

/** Whether what has this media type is JSON: `application/json`, `text/json`, `application/ld+json; charset=utf-8`. */
export function isJsonType(text: string): boolean {
  const subtype = MEDIA_TYPE.exec(text)?.[1]?.toLowerCase() ?? ''
  return subtype === 'json' || subtype.endsWith('+json')
}
