/**
 * Counter-based random numbers: Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3"). A number depends only on (seed, purpose, a, b, position), so that crops, flips and dropout masks are the
 * same on every backend, for any number of workers, and after a resume.
 */

/** What a random number is for. Each purpose has independent streams. */
export const Purpose = {
  ...{ weights: 1, shuffle: 2, augment: 3, dropout: 4, drawing: 5, split: 6 },
  ...{ resizedCrop: 7, jitter: 8, erase: 9, mix: 10, mixBatch: 11, alternate: 12 },
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const PARITY = 0x1bd11bda;

/** The second word of the last block: avoids allocating an array per block. */
let secondWord = 0;

/** One block: maps a key and a counter of two words each to two random words, all unsigned 32-bit. */
export function threefry(k0: number, k1: number, c0: number, c1: number): [number, number] {
  return [block(k0, k1, c0, c1), secondWord];
}

function block(key0: number, key1: number, c0: number, c1: number): number {
  // Signed integers: unsigned values above 2³¹ would turn every addition into floating point.
  const k0 = key0 | 0;
  const k1 = key1 | 0;
  const k2 = PARITY ^ k0 ^ k1;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  // Twenty rounds. After every four, a key word is added to each half, and the number of the injection to the second.
  for (let added = 1; added <= 5; added++) {
    const odd = (added & 1) === 1;
    x0 = (x0 + x1) | 0;
    x1 = (odd ? (x1 << 13) | (x1 >>> 19) : (x1 << 17) | (x1 >>> 15)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = (odd ? (x1 << 15) | (x1 >>> 17) : (x1 << 29) | (x1 >>> 3)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = (odd ? (x1 << 26) | (x1 >>> 6) : (x1 << 16) | (x1 >>> 16)) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = (odd ? (x1 << 6) | (x1 >>> 26) : (x1 << 24) | (x1 >>> 8)) ^ x0;
    x0 = (x0 + (added === 3 ? k0 : added === 1 || added === 4 ? k1 : k2)) | 0;
    x1 = (x1 + (added === 3 ? k1 : added === 1 || added === 4 ? k2 : k0) + added) | 0;
  }
  secondWord = x1 >>> 0;
  return x0 >>> 0;
}

/** The key of a stream: hashes a seed (up to 2⁵³), a purpose and two indices (such as epoch and sample) to two words. */
export function streamKey(seed: number, purpose: Purpose, a = 0, b = 0): [number, number] {
  const [k0, k1] = threefry(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, purpose, 0);
  return threefry(k0, k1, a >>> 0, b >>> 0);
}

/** A stream of random numbers, determined by its arguments. */
export class Random {
  readonly #k0: number;
  readonly #k1: number;
  #position = 0;
  #spareWord: number | undefined;
  #spareNormal: number | undefined;

  constructor(seed: number, purpose: Purpose, a = 0, b = 0) {
    [this.#k0, this.#k1] = streamKey(seed, purpose, a, b);
  }

  /** An unsigned 32-bit integer. */
  word(): number {
    const spare = this.#spareWord;
    if (spare !== undefined) {
      this.#spareWord = undefined;
      return spare;
    }
    const word = block(this.#k0, this.#k1, this.#position++, 0);
    this.#spareWord = secondWord;
    return word;
  }

  /** Uniform in [0, 1), with 32 bits. */
  uniform(): number {
    return this.word() / 2 ** 32;
  }

  /** An integer in [0, n). */
  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Box–Muller: two variates from two words). */
  normal(): number {
    const spare = this.#spareNormal;
    if (spare !== undefined) {
      this.#spareNormal = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log((this.word() + 0.5) / 2 ** 32));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + (to - from) * this.uniform();
  }

  /** Beta(α, α), α > 0: x / (x + y) of two gamma variates. In logarithms: for small α they are as small as 1e-400. */
  beta(alpha: number): number {
    const x = this.#logGamma(alpha);
    return 1 / (1 + Math.exp(this.#logGamma(alpha) - x));
  }

  /** The logarithm of a Gamma(α) variate (Marsaglia and Tsang 2000): a Gamma(α + 1) variate times U^(1/α). */
  #logGamma(alpha: number): number {
    const d = alpha + 1 - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const normal = this.normal();
      const v = (1 + c * normal) ** 3;
      const u = (this.word() + 0.5) / 2 ** 32;
      if (v <= 0 || Math.log(u) >= normal ** 2 / 2 + d - d * v + d * Math.log(v)) continue;
      return Math.log(d * v) + Math.log((this.word() + 0.5) / 2 ** 32) / alpha;
    }
  }

  /** A permutation of 0 … n−1 (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
