/** Binary entropy, and bounds on an error rate that was sampled. */

/** h(p) in bits; 0 at 0 and 1. */
export function binaryEntropy(p: number): number {
  if (p <= 0 || p >= 1) return 0
  return -p * Math.log2(p) - (1 - p) * Math.log2(1 - p)
}

/** Upper bound on the error rate of what `errors` of `sample` were drawn from: Hoeffding, wrong with probability eps. */
export function errorRateUpperBound(errors: number, sample: number, eps: number): number {
  if (sample === 0) return 1
  return Math.min(1, errors / sample + Math.sqrt(Math.log(1 / eps) / (2 * sample)))
}
