/** The colours of maps that are drawn over an image. */

/** Where a map is positive, and where it is negative. */
export const POSITIVE = [214, 39, 18] as const;
export const NEGATIVE = [20, 84, 170] as const;

/** How much of its colour a place gets, 0 … 1. @param strength the magnitude there, as a part of the largest */
export function shareOf(strength: number): number {
  return 0.85 * strength ** 0.7;
}
