/** Runs `task` for every item, begun in the order of the list, with at most `width` at a time. */
export async function forEachBounded<T>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  async function work(): Promise<void> {
    while (next < items.length) await task(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work))
}
