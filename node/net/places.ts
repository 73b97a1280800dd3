/**
 * Connections to a door that has so many places. Strangers may open any number of them; and because those who are
 * wanted may have the same address as strangers, a full door never turns a newcomer away: it closes the connection that
 * has the least claim to its place, the oldest of such. Only one who would displace better ones is turned away.
 */

export interface PlaceLimits {
  /** Of one remote address, and in all. */
  readonly perAddressMax: number
  readonly max: number
}

/** What a connection has shown so far: nothing (0), something that takes a stranger more (1), who it is (2). */
export type Claim = 0 | 1 | 2

const KNOWN: Claim = 2

interface Place {
  readonly address: string
  claim: Claim
}

export class Places<C extends object> {
  readonly #limits: PlaceLimits
  readonly #close: (connection: C) => void
  /** In the order in which they came. */
  readonly #places = new Map<C, Place>()
  readonly #perAddress = new Map<string, number>()
  /** Those that have not shown who they are. */
  readonly #strangers = new Map<string, number>()

  /** @param close ends a connection whose place is needed; it holds none any more */
  constructor(limits: PlaceLimits, close: (connection: C) => void) {
    this.#limits = limits
    this.#close = close
  }

  get size(): number {
    return this.#places.size
  }

  /** A connection has come. False if it is closed at once, since all others have shown who they are. */
  take(connection: C, remote: string, claim: Claim = 0): boolean {
    const address = addressKey(remote)
    const place = { address, claim }
    this.#places.set(connection, place)
    this.#count(place, 1)
    if (this.#perAddress.get(address)! > this.#limits.perAddressMax) this.#closeOne(connection, address)
    else if (this.#places.size > this.#limits.max) this.#closeOne(connection, this.#crowd())
    return this.#places.has(connection)
  }

  /** What is known of it has changed. */
  claim(connection: C, claim: Claim): void {
    const place = this.#places.get(connection)
    if (!place) return
    this.#count(place, -1)
    place.claim = claim
    this.#count(place, 1)
  }

  /** It has closed, or needs no place of this door any more. */
  leave(connection: C): void {
    const place = this.#places.get(connection)
    if (!place) return
    this.#places.delete(connection)
    this.#count(place, -1)
  }

  #closeOne(newest: C, address: string | undefined): void {
    let chosen: C | undefined
    let least = Number.POSITIVE_INFINITY
    for (const [connection, place] of this.#places) {
      if (connection === newest || (address !== undefined && place.address !== address)) continue
      if (place.claim >= least) continue
      chosen = connection
      least = place.claim
    }
    const better = least === KNOWN && this.#places.get(newest)!.claim < KNOWN
    const closed = chosen === undefined || better ? newest : chosen
    this.leave(closed)
    this.#close(closed)
  }

  /** The address with the most strangers; undefined if there are none. */
  #crowd(): string | undefined {
    let crowd: string | undefined
    for (const [address, count] of this.#strangers) {
      if (crowd === undefined || count > this.#strangers.get(crowd)!) crowd = address
    }
    return crowd
  }

  #count({ address, claim }: Place, by: 1 | -1): void {
    add(this.#perAddress, address, by)
    if (claim < KNOWN) add(this.#strangers, address, by)
  }
}

function add(counts: Map<string, number>, address: string, by: 1 | -1): void {
  const count = (counts.get(address) ?? 0) + by
  if (count === 0) counts.delete(address)
  else counts.set(address, count)
}

/** Who has an IPv6 address has 2^64 of them. */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped) return mapped[1]!
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  return [...front, ...zeros, ...back].slice(0, 4).join(':')
}
