/**
 * Extrapolates from measurements on a few ranks to many, over links of different speeds: a model, not a measurement.
 *
 *   step(n) = a + c·b + (1 − ω)·exchange(n),  exchange(n) = 2·G·(n − 1)/n · (1/link + 1/local) + 2·⌈log₂ n⌉·latency
 *
 * for n ranks with b images each. a and c are fitted to steps of a single rank without exchange. ω, the share of the
 * exchange hidden behind the backward pass, and `local`, the rate at which a rank itself processes exchanged data, are
 * fitted to steps of several ranks. G is the size of the gradients in bytes.
 */

/** A step of a single rank. */
export interface ComputeSample {
  readonly images: number;
  readonly seconds: number;
}

/** Several ranks on one machine with the same number of images each; median times of a step. */
export interface ScaleSample {
  readonly ranks: number;
  readonly images: number;
  /** Computing only, all ranks at once on the shared machine. */
  readonly computeSeconds: number;
  /** Exchanging gradients only. */
  readonly exchangeSeconds: number;
  /** Both together, as in training. */
  readonly stepSeconds: number;
  /** Sent by each rank. */
  readonly sentBytes: number;
}

export interface ScaleModel {
  /** a and c: seconds per step and seconds per image. */
  readonly stepSeconds: number;
  readonly imageSeconds: number;
  /** ω */
  readonly hidden: number;
  /** Bytes per second. */
  readonly localRate: number;
  /** G */
  readonly gradientBytes: number;
}

/** The share of the exchange that overlapped with computing; 0 if it all came on top. */
export function hiddenShare({ computeSeconds, exchangeSeconds, stepSeconds }: ScaleSample): number {
  return Math.min(1, Math.max(0, 1 - (stepSeconds - computeSeconds) / exchangeSeconds));
}

function mean<T>(samples: readonly T[], of: (sample: T) => number): number {
  return samples.reduce((sum, each) => sum + of(each), 0) / samples.length;
}

/** Least-squares line through samples; if it is not increasing from ≥ 0, or for a single sample, all time is per image. */
function line(samples: readonly ComputeSample[]): { stepSeconds: number; imageSeconds: number } {
  const [x, y] = [mean(samples, ({ images }) => images), mean(samples, ({ seconds }) => seconds)];
  const spread = mean(samples, ({ images }) => (images - x) ** 2);
  const slope = spread === 0 ? y / x : mean(samples, ({ images, seconds }) => (images - x) * (seconds - y)) / spread;
  const start = y - slope * x;
  return start >= 0 && slope > 0
    ? { stepSeconds: start, imageSeconds: slope }
    : { stepSeconds: 0, imageSeconds: y / x };
}

/** @param scale of at least two ranks */
export function fit(
  compute: readonly ComputeSample[],
  scale: readonly ScaleSample[],
  gradientBytes: number,
): ScaleModel {
  return {
    ...line(compute),
    hidden: mean(scale, hiddenShare),
    localRate: 1 / mean(scale, ({ exchangeSeconds, sentBytes }) => exchangeSeconds / sentBytes),
    gradientBytes,
  };
}

/** Latency of a message between machines; tens of microseconds are typical for Ethernet. */
const LATENCY_SECONDS = 30e-6;

/** Images per second of `ranks` machines with `images` each, at a given link speed in bits per second. */
export function project(model: ScaleModel, ranks: number, images: number, linkBits: number): number {
  const { stepSeconds, imageSeconds, hidden, localRate, gradientBytes } = model;
  const bytes = (2 * gradientBytes * (ranks - 1)) / ranks;
  const exchange =
    ranks === 1 ? 0 : bytes * (8 / linkBits + 1 / localRate) + 2 * Math.ceil(Math.log2(ranks)) * LATENCY_SECONDS;
  return (ranks * images) / (stepSeconds + imageSeconds * images + (1 - hidden) * exchange);
}
