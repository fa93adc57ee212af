/**
 * Counter-based randomness: Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy
 * as 1, 2, 3"). A number is a function of (seed, purpose, a, b, position) and of nothing else, so that crops, mirror
 * images and dropout masks are the same on every backend, for any number of workers, and after a resume.
 */

/** What a random number is for: numbers drawn for one purpose never meet those of another. */
export const Purpose = { weights: 1, shuffle: 2, augment: 3, dropout: 4, drawing: 5, split: 6 } as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

/** One block: two words of key and two of counter give two random words, all unsigned 32-bit. */
export function threefry(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const k2 = PARITY ^ k0 ^ k1;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = ROTATIONS[round % 8]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x0 = (x0 + (s % 3 === 0 ? k0 : s % 3 === 1 ? k1 : k2)) | 0;
      x1 = (x1 + (s % 3 === 0 ? k1 : s % 3 === 1 ? k2 : k0) + s) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** The key of a stream: folds a seed (up to 2⁵³), a purpose and two indices (say epoch and sample) into two words. */
export function streamKey(seed: number, purpose: Purpose, a = 0, b = 0): [number, number] {
  const [k0, k1] = threefry(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, purpose, 0);
  return threefry(k0, k1, a >>> 0, b >>> 0);
}

/** A stream of random numbers; two streams with the same arguments give the same numbers. */
export class Random {
  readonly #k0: number;
  readonly #k1: number;
  #position = 0;
  #spare: number | undefined;

  constructor(seed: number, purpose: Purpose, a = 0, b = 0) {
    [this.#k0, this.#k1] = streamKey(seed, purpose, a, b);
  }

  /** An unsigned 32-bit integer. */
  word(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const [x0, x1] = threefry(this.#k0, this.#k1, this.#position++, 0);
    this.#spare = x1;
    return x0;
  }

  /** Uniform in [0, 1), with 32 bits. */
  uniform(): number {
    return this.word() / 2 ** 32;
  }

  /** An integer in [0, n). */
  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log((this.word() + 0.5) / 2 ** 32));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A permutation of 0 … n−1 (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
