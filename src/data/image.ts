/** An image that can't be used. The loader counts it, names it and goes on. */
export class BadImage extends Error {
  override readonly name = "BadImage";
}

/** With fewer bad images than this nothing is said, however small the set. */
const TOLERATED_BAD = 10;
export const TOLERATED_BAD_SHARE = 0.05;

/** Whether so many of a set's images can be passed over. */
export function isTolerated(bad: number, images: number): boolean {
  return bad <= Math.max(TOLERATED_BAD, TOLERATED_BAD_SHARE * images);
}
