/** How a batch, or a set, is shared out: everyone gets a run of it, and the runs differ by one image at most. */

export interface Share {
  readonly first: number;
  readonly count: number;
}

/** What falls to one of `of` that share `total` images. */
export function shareOf(total: number, one: number, of: number): Share {
  const first = Math.floor((total * one) / of);
  return { first, count: Math.floor((total * (one + 1)) / of) - first };
}
