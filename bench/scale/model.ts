/**
 * From what was measured on a few ranks to what many would do, over faster and slower links: a model, not a measurement.
 *
 *   step(n) = a + c·b + (1 − ω)·exchange(n),  exchange(n) = 2·G·(n − 1)/n · (1/link + 1/local) + 2·⌈log₂ n⌉·latency
 *
 * for n ranks with b images each: a and c are fitted to steps of one rank without any exchange; ω, the share of the
 * exchange that is hidden behind the backward pass, and `local`, the rate at which a rank itself handles what is
 * exchanged, to steps of several. G is the bytes of the gradients.
 */

/** A step of one rank by itself. */
export interface ComputeSample {
  readonly images: number;
  readonly seconds: number;
}

/** Several ranks on one machine, each with the same number of images; times of a step, medians. */
export interface ScaleSample {
  readonly ranks: number;
  readonly images: number;
  /** Each rank for itself, all at once, sharing the machine. */
  readonly computeSeconds: number;
  /** Only the exchange of the gradients. */
  readonly exchangeSeconds: number;
  /** Together, as in a training. */
  readonly stepSeconds: number;
  /** That each rank sends. */
  readonly sentBytes: number;
}

export interface ScaleModel {
  /** a and c: seconds a step, and seconds an image. */
  readonly stepSeconds: number;
  readonly imageSeconds: number;
  /** ω */
  readonly hidden: number;
  /** Bytes a second. */
  readonly localRate: number;
  /** G */
  readonly gradientBytes: number;
}

/** The share of the exchange that took no time of its own; 0 where everything came on top. */
export function hiddenShare({ computeSeconds, exchangeSeconds, stepSeconds }: ScaleSample): number {
  return Math.min(1, Math.max(0, 1 - (stepSeconds - computeSeconds) / exchangeSeconds));
}

function mean<T>(samples: readonly T[], of: (sample: T) => number): number {
  return samples.reduce((sum, each) => sum + of(each), 0) / samples.length;
}

/** The straight line through samples, by least squares; where that makes no sense, as of one sample, all is per image. */
function line(samples: readonly ComputeSample[]): { stepSeconds: number; imageSeconds: number } {
  const [x, y] = [mean(samples, ({ images }) => images), mean(samples, ({ seconds }) => seconds)];
  const spread = mean(samples, ({ images }) => (images - x) ** 2);
  const slope = spread === 0 ? y / x : mean(samples, ({ images, seconds }) => (images - x) * (seconds - y)) / spread;
  const start = y - slope * x;
  return start >= 0 && slope > 0
    ? { stepSeconds: start, imageSeconds: slope }
    : { stepSeconds: 0, imageSeconds: y / x };
}

/** @param scale of two ranks at least */
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

/** Of a message from one machine to another; tens of microseconds are usual over Ethernet. */
const LATENCY_SECONDS = 30e-6;

/** Images a second of `ranks` machines with `images` each, linked at so many bits a second. */
export function project(model: ScaleModel, ranks: number, images: number, linkBits: number): number {
  const { stepSeconds, imageSeconds, hidden, localRate, gradientBytes } = model;
  const bytes = (2 * gradientBytes * (ranks - 1)) / ranks;
  const exchange =
    ranks === 1 ? 0 : bytes * (8 / linkBits + 1 / localRate) + 2 * Math.ceil(Math.log2(ranks)) * LATENCY_SECONDS;
  return (ranks * images) / (stepSeconds + imageSeconds * images + (1 - hidden) * exchange);
}
