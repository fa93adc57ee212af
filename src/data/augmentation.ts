/**
 * Draws the augmentation of each image: crop, horizontal flip and colour noise (paper §4.1), and more recent methods.
 * Here it is only a few numbers per image, its view; the pixels are transformed on the device, by
 * src/engine/ops/augment.ts, which documents the numbers.
 *
 * A draw depends only on (seed, epoch, image), not on the device or on earlier draws. Each method has its own random
 * stream, so that enabling one does not change the others. Only the pairing of mixed images, and the choice between
 * mixup and cutmix, also depend on the batch.
 */
import { VIEW, VIEW_LENGTH } from "../engine/ops/augment.ts";
import { ShapeError } from "../errors.ts";
import type { MixedLabels } from "../net/passes.ts";
import { checkOptions, requireWhole, show, type OptionKinds } from "../options.ts";
import { Purpose, Random } from "../random.ts";
import type { ColourAxes } from "./dataset.ts";
import { jitterMatrix } from "./jitter.ts";
import type { Share } from "./share.ts";

export interface AugmentationOptions {
  /** Side of the records and of the crop taken from them, in pixels. */
  readonly record: number;
  readonly size: number;
  /** Random instead of central crops. */
  readonly crop: boolean;
  /** Instead of `crop`: random crops of the record continued on each side by this many pixels, by reflection. */
  readonly pad?: number;
  readonly mirror: boolean;
  /** Instead of `mirror`: half of the images are mirrored in the first epoch, and each is turned in every later one. */
  readonly alternate?: boolean;
  /**
   * Colour noise along each principal axis, in standard deviations of the set along it; 0.1 in the paper, 0 for none.
   * The paper multiplies α ~ N(0, 0.1²) by the eigenvalue of the covariance. For pixels from 0 to 255 that is a
   * variance of up to 14,000 squared levels, and the noise would drown the image. We multiply by its square root, which
   * has the right unit.
   */
  readonly colour: number;
  /** How many consecutive images of an epoch share a crop; 32 in the 2012 program, otherwise 1. */
  readonly sharedCrop?: number;
  /** Divides the image after the colour shift; 1.1 in the 2012 program, otherwise 1. */
  readonly divideBy?: number;
  /**
   * Instead of `crop`: a random box of the record, of at least this fraction of its area and an aspect of 3:4 to 4:3,
   * resized to the crop (Szegedy et al. 2014); usually 0.08, 0 for none.
   */
  readonly resizedCrop?: number;
  /**
   * Brightness, contrast and saturation are multiplied by factors uniform in 1 ± this, and the hue is rotated by up to a
   * quarter of it (in turns) either way: SimCLR's proportions (Chen et al. 2020, A). Usually 0.4, 0 for none.
   */
  readonly jitter?: number;
  /** The probability of replacing a rectangle by the mean image (random erasing, Zhong et al. 2017); usually 0.25. */
  readonly erase?: number;
  /**
   * α of λ ~ Beta(α, α): an image becomes λ × itself + (1 − λ) × the next one in the batch (Zhang et al. 2017); usually
   * 0.2, 0 for none.
   */
  readonly mixup?: number;
  /**
   * Likewise, but the next image is pasted as a box of 1 − λ of the area (Yun et al. 2019); usually 1, 0 for none. With
   * both set, each batch uses one or the other with equal probability.
   */
  readonly cutmix?: number;
}

const OPTIONS: OptionKinds<AugmentationOptions & { smooth?: number }> = {
  ...{ record: "number", size: "number", crop: "boolean", pad: "number?", mirror: "boolean", alternate: "boolean?" },
  ...{
    colour: "number",
    sharedCrop: "number?",
    divideBy: "number?",
    resizedCrop: "number?",
    jitter: "number?",
    erase: "number?",
    mixup: "number?",
  },
  // A recipe's augmentation may be passed as it is, and also has label smoothing.
  ...{ cutmix: "number?", smooth: "number?" },
};

/** @throws ShapeError unless crops of side `size` fit into images of side `record` */
function checkCrop(where: string, images: number, record: number, size: number): void {
  requireWhole(where, { images, record, size });
  if (size > record) throw new ShapeError(`${where}: a crop of ${size} is larger than an image of ${record}`);
}

/**
 * The views of one training batch, N × `VIEW_LENGTH`.
 * @param axes colour axes of the training set; needed if `colour` is not 0
 * @param images indices of the batch's images in the data set
 * @param at position of the first of them in the epoch
 * @throws ShapeError for invalid numbers; UsageError for an unknown or missing option
 */
export function drawViews(
  options: AugmentationOptions,
  axes: ColourAxes | undefined,
  seed: number,
  epoch: number,
  images: Uint32Array,
  at: number,
): Float32Array {
  checkOptions("drawViews", options, OPTIONS);
  const { record, size, pad = 0, divideBy = 1, mixup = 0, cutmix = 0 } = options;
  checkCrop("drawViews", images.length, record, size);
  requireWhole("drawViews", { pad }, 0);
  if (pad >= record) {
    throw new ShapeError(`drawViews: pad is ${pad}, must be less than the side of the records, ${record}`);
  }
  const views = centreView(images.length, record, size, divideBy);
  drawPaper(views, options, axes, seed, epoch, images, at);
  const cuts = cutmix > 0 && (mixup === 0 || new Random(seed, Purpose.mixBatch, epoch, at).uniform() < 0.5);
  for (let n = 0; n < images.length; n++) {
    const view = views.subarray(n * VIEW_LENGTH, (n + 1) * VIEW_LENGTH);
    const random = (purpose: Purpose) => new Random(seed, purpose, epoch, images[n]);
    if (options.resizedCrop) drawSource(view, options.resizedCrop, record, random(Purpose.resizedCrop));
    if (options.jitter) drawJitter(view, options.jitter, random(Purpose.jitter));
    if (options.erase) drawErased(view, options.erase, size, random(Purpose.erase));
    if (!cuts && mixup === 0) continue;
    if (cuts) drawCut(view, cutmix, size, random(Purpose.mix));
    else view[VIEW.share] = random(Purpose.mix).beta(mixup);
    view[VIEW.partner] = (n + 1) % images.length;
    view[VIEW.extended] = 1;
  }
  return views;
}

/**
 * The views of a rank's share of a batch. An image's mixing partner follows it, also for the last image: with mixing, a
 * share has one extra image.
 */
export function viewsOfShare(views: Float32Array, { first, count }: Share): Float32Array {
  const images = views.length / VIEW_LENGTH;
  const own = new Float32Array(count * VIEW_LENGTH);
  for (let n = 0; n < count; n++) {
    const from = ((first + n) % images) * VIEW_LENGTH;
    own.set(views.subarray(from, from + VIEW_LENGTH), n * VIEW_LENGTH);
    own[n * VIEW_LENGTH + VIEW.partner] = Math.min(n + 1, count - 1);
  }
  return own;
}

/** Whether the options mix images. */
export function mixes({ mixup = 0, cutmix = 0 }: Pick<AugmentationOptions, "mixup" | "cutmix">): boolean {
  return mixup > 0 || cutmix > 0;
}

/** The paper's augmentation. The order of draws from its one stream must not change. */
function drawPaper(
  views: Float32Array,
  options: AugmentationOptions,
  axes: ColourAxes | undefined,
  seed: number,
  epoch: number,
  images: Uint32Array,
  at: number,
): void {
  const { record, size, crop, pad = 0, mirror, alternate = false, colour, sharedCrop = 1 } = options;
  const free = record + 2 * pad - size + 1;
  let [y, x] = [0, 0];
  for (let n = 0; n < images.length; n++) {
    const random = new Random(seed, Purpose.augment, epoch, images[n]);
    const own = [random.integer(free) - pad, random.integer(free) - pad] as const;
    // Every batch starts a new group; in the recipe that uses groups, batches are multiples of them.
    if (n === 0 || (at + n) % sharedCrop === 0) [y, x] = own;
    if (crop || pad > 0) views.set([y, x], n * VIEW_LENGTH + VIEW.top);
    if (random.uniform() < 0.5 && mirror) views[n * VIEW_LENGTH + VIEW.mirror] = 1;
    if (alternate) {
      const first = new Random(seed, Purpose.alternate, images[n]).uniform() < 0.5;
      views[n * VIEW_LENGTH + VIEW.mirror] = first === (epoch % 2 === 0) ? 1 : 0;
    }
    if (colour === 0 || !axes) continue;
    for (let k = 0; k < 3; k++) {
      const along = colour * random.normal() * Math.sqrt(axes.values[k]!);
      for (let c = 0; c < 3; c++) views[n * VIEW_LENGTH + VIEW.shift + c]! += along * axes.vectors[k]![c]!;
    }
  }
}

/** A random box of 3:4 to 4:3; the whole record if ten tries don't fit, as in torchvision. */
function drawSource(view: Float32Array, least: number, record: number, random: Random): void {
  const [height, width] = drawBox(random, record, least, 1, 3 / 4) ?? [record, record];
  const [top, left] = [random.integer(record - height + 1), random.integer(record - width + 1)];
  view.set([top, left], VIEW.top);
  view.set([height, width], VIEW.height);
  view[VIEW.extended] = 1;
}

/** Contrast about the mean image scales the network's input; brightness, saturation and hue are a matrix. */
function drawJitter(view: Float32Array, strength: number, random: Random): void {
  const factor = () => random.between(1 - strength, 1 + strength);
  const [brightness, contrast, saturation] = [factor(), factor(), factor()];
  const turn = random.between(-strength / 4, strength / 4);
  view.set(jitterMatrix(brightness, saturation, turn), VIEW.matrix);
  view[VIEW.scale]! *= contrast;
  view[VIEW.extended] = 1;
}

/** 2% to 33% of the crop, with an aspect of 3:10 to 10:3, as in torchvision. */
function drawErased(view: Float32Array, probability: number, size: number, random: Random): void {
  if (random.uniform() >= probability) return;
  const box = drawBox(random, size, 0.02, 0.33, 0.3);
  if (!box) return;
  const [top, left] = [random.integer(size - box[0] + 1), random.integer(size - box[1] + 1)];
  view.set([top, left, top + box[0], left + box[1]], VIEW.erase);
  view[VIEW.extended] = 1;
}

/** A box of 1 − λ of the area around a random pixel, clipped to the crop. */
function drawCut(view: Float32Array, alpha: number, size: number, random: Random): void {
  const half = Math.floor((size * Math.sqrt(1 - random.beta(alpha))) / 2);
  const [y, x] = [random.integer(size), random.integer(size)];
  const within = (edge: number) => Math.min(Math.max(edge, 0), size);
  view.set([y - half, x - half, y + half, x + half].map(within), VIEW.cut);
}

/**
 * Height and width of a box in a square of `side`, uniform in area and in the logarithm of its aspect; undefined if ten
 * tries don't fit.
 */
function drawBox(
  random: Random,
  side: number,
  least: number,
  most: number,
  aspect: number,
): readonly [height: number, width: number] | undefined {
  for (let time = 0; time < 10; time++) {
    const area = side * side * random.between(least, most);
    const ratio = Math.exp(random.between(Math.log(aspect), -Math.log(aspect)));
    const [height, width] = [Math.round(Math.sqrt(area / ratio)), Math.round(Math.sqrt(area * ratio))];
    if (height >= 1 && width >= 1 && height <= side && width <= side) return [height, width];
  }
  return undefined;
}

/**
 * The mixed labels for the views of a batch; undefined if no image is mixed.
 * @param seen how many images to label, all by default; any after them are only mixing partners
 */
export function mixedLabels(
  views: Float32Array,
  labels: Uint32Array,
  size: number,
  seen = labels.length,
): MixedLabels | undefined {
  if (views.length !== labels.length * VIEW_LENGTH) {
    throw new ShapeError(`mixedLabels: ${labels.length} labels for ${views.length / VIEW_LENGTH} views`);
  }
  const shares = Float32Array.from({ length: seen }, (_, n) => {
    const view = views.subarray(n * VIEW_LENGTH, (n + 1) * VIEW_LENGTH);
    const [top = 0, left = 0, bottom = 0, right = 0] = view.subarray(VIEW.cut);
    return view[VIEW.share]! * (1 - ((bottom - top) * (right - left)) / (size * size));
  });
  if (shares.every((share) => share === 1)) return undefined;
  const others = Uint32Array.from({ length: seen }, (_, n) => labels[views[n * VIEW_LENGTH + VIEW.partner]!]!);
  return { others, shares };
}

/** Views of the central crops of `images` images. @throws ShapeError when `size` exceeds `record` */
export function centreView(images: number, record: number, size: number, divideBy = 1): Float32Array {
  checkCrop("centreView", images, record, size);
  if (!(divideBy > 0)) throw new ShapeError(`centreView: divideBy is ${show(divideBy)}, must be above 0`);
  const middle = Math.floor((record - size) / 2);
  return repeat(images, size, [middle, middle, 0, 1 / divideBy]);
}

/** Numbers of test-time views. */
export const VIEW_COUNTS = [1, 2, 6, 10] as const;
export type ViewCount = (typeof VIEW_COUNTS)[number];

/**
 * The test-time views of each image: 1, the centre; 2, the centre and its flip; 6, also those one pixel up and to the
 * left, and down and to the right (arXiv 2404.00498, §3.5); 10, the centre, the four corners and their flips [P §4.1].
 * @throws ShapeError for another count, or when `size` exceeds `record`
 */
export function testViews(count: ViewCount, images: number, record: number, size: number): Float32Array[] {
  checkCrop("testViews", images, record, size);
  if (!VIEW_COUNTS.includes(count)) {
    throw new ShapeError(`testViews: the count is ${show(count)}, must be ${VIEW_COUNTS.join(", ")}`);
  }
  if (count === 6 && record === 1) throw new ShapeError("testViews: an image of one pixel can't be shifted");
  const [middle, end] = [Math.floor((record - size) / 2), record - size];
  const centre = [[middle, middle]] as const;
  const shifts = [-1, 1].map((by) => [middle + by, middle + by] as const);
  const corners = [
    [0, 0],
    [0, end],
    [end, 0],
    [end, end],
  ] as const;
  const places = [...centre, ...(count === 6 ? shifts : []), ...(count === 10 ? corners : [])];
  const mirrors = count === 1 ? [0] : [0, 1];
  return mirrors.flatMap((mirror) => places.map(([y, x]) => repeat(images, size, [y, x, mirror, 1])));
}

function repeat(images: number, size: number, usual: readonly number[]): Float32Array {
  const view = new Float32Array(VIEW_LENGTH);
  view.set(usual);
  view.set([size, size], VIEW.height);
  view.set([1, 0, 0, 0, 1, 0, 0, 0, 1], VIEW.matrix);
  view[VIEW.share] = 1;
  const views = new Float32Array(images * VIEW_LENGTH);
  for (let n = 0; n < images; n++) views.set(view, n * VIEW_LENGTH);
  return views;
}
