/** An image can't be used. The loader counts it, reports it and continues. */
export class BadImage extends Error {
  override readonly name = "BadImage";
}

/** This many bad images are tolerated however small the set. */
const TOLERATED_BAD = 10;
export const TOLERATED_BAD_SHARE = 0.05;

/** Whether `bad` of a set's images may be skipped. */
export function isTolerated(bad: number, images: number): boolean {
  return bad <= Math.max(TOLERATED_BAD, TOLERATED_BAD_SHARE * images);
}
