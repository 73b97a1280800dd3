/** How much of the disk stays free, and why. */

/**
 * Below this a node steps down before the disk is full. LevelDB needs room to make room: it writes a 32 MiB
 * memory table out and merges tables of 16 MiB before it may delete what they replace, and a batch that applies
 * blocks may hold several of 4 MiB.
 */
export const DISK_RESERVE_BYTES = 64 * 1024 * 1024
