/** Divides a batch or a set into contiguous shares whose sizes differ by at most one. */

export interface Share {
  readonly first: number;
  readonly count: number;
}

/** Share number `one` of `of` that divide `total` images. */
export function shareOf(total: number, one: number, of: number): Share {
  const first = Math.floor((total * one) / of);
  return { first, count: Math.floor((total * (one + 1)) / of) - first };
}
