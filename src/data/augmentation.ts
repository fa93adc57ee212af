/**
 * What of each image a network sees: where the crop lies, whether it is mirrored, how its colours are shifted (paper
 * §4.1). Drawn here, a few numbers an image; the pixels are touched on the device (src/ops/augment.ts), which wants
 *
 *   views[n] = [y, x, mirror (0 or 1), scale, shift red, shift green, shift blue, 0]
 *
 * A draw depends on (seed, epoch, image) alone: not on the batch, the device or what was drawn before.
 */
import { VIEW_LENGTH } from "../ops/augment.ts";
import { Purpose, Random } from "../random.ts";
import type { ColourAxes } from "./statistics.ts";

export interface AugmentationOptions {
  /** Side of the records and of the crop taken from them, in pixels. */
  readonly record: number;
  readonly size: number;
  /** Crops lie anywhere instead of in the centre. */
  readonly crop: boolean;
  readonly mirror: boolean;
  /**
   * Colour noise along each principal axis, in units of the set's own standard deviation along it; 0.1 in the paper, 0
   * for none. The paper multiplies α ~ N(0, 0.1²) with the eigenvalue of the covariance; of pixels from 0 to 255 that
   * is a variance, up to 14,000 squared levels, and the noise would drown the image. Its square root has the right
   * unit, and is what is multiplied here.
   */
  readonly colour: number;
  /** How many consecutive images of an epoch lie under the same crop; 32 in the program of 2012, else 1. */
  readonly sharedCrop?: number;
  /** The image is divided by this once the colours are shifted; 1.1 in the program of 2012, else 1. */
  readonly divideBy?: number;
}

/**
 * The views of one training batch.
 * @param axes of the training set's colours; needed where `colour` is not 0
 * @param images the numbers of the batch's images in the data set
 * @param at the position in the epoch of the first of them
 */
export function drawViews(
  options: AugmentationOptions,
  axes: ColourAxes | undefined,
  seed: number,
  epoch: number,
  images: Uint32Array,
  at: number,
): Float32Array {
  const { record, size, crop, mirror, colour, sharedCrop = 1, divideBy = 1 } = options;
  const free = record - size + 1;
  const views = centreView(images.length, record, size, divideBy);
  let [y, x] = [0, 0];
  for (let n = 0; n < images.length; n++) {
    const random = new Random(seed, Purpose.augment, epoch, images[n]);
    const own = [random.integer(free), random.integer(free)] as const;
    // Batches are multiples of the group in the recipe that has groups; with others, a batch begins a new one.
    if (n === 0 || (at + n) % sharedCrop === 0) [y, x] = own;
    if (crop) views.set([y, x], n * VIEW_LENGTH);
    if (random.uniform() < 0.5 && mirror) views[n * VIEW_LENGTH + 2] = 1;
    if (colour === 0 || !axes) continue;
    for (let k = 0; k < 3; k++) {
      const along = colour * random.normal() * Math.sqrt(axes.values[k]!);
      for (let c = 0; c < 3; c++) views[n * VIEW_LENGTH + 4 + c]! += along * axes.vectors[k]![c]!;
    }
  }
  return views;
}

/** The centre of each of `images` images, as it is. */
export function centreView(images: number, record: number, size: number, divideBy = 1): Float32Array {
  const middle = Math.floor((record - size) / 2);
  return repeat(images, [middle, middle, 0, 1 / divideBy]);
}

/** Ten views of each image: the centre and the four corners, and their mirror images [P §4.1]. */
export function tenViews(images: number, record: number, size: number, divideBy = 1): Float32Array[] {
  const [middle, end] = [Math.floor((record - size) / 2), record - size];
  const places = [
    [middle, middle],
    [0, 0],
    [0, end],
    [end, 0],
    [end, end],
  ] as const;
  return [0, 1].flatMap((mirror) => places.map(([y, x]) => repeat(images, [y, x, mirror, 1 / divideBy])));
}

function repeat(images: number, view: readonly number[]): Float32Array {
  const views = new Float32Array(images * VIEW_LENGTH);
  for (let n = 0; n < images; n++) views.set(view, n * VIEW_LENGTH);
  return views;
}
