/**
 * From decoded pixels to a network's input, by the augmentations of paper §2 and §4.1 and by later ones. views[n] says
 * how image n is seen (`VIEW`). A simple view is a crop, perhaps mirrored, less the mean image:
 *
 *   x[c, i, j, n] = (pixels[n, top + i, left + j', c] − mean[top + i, left + j', c] + shift[c]) · scale
 *
 * with j' = crop − 1 − j if image n is mirrored, else j. Crops and source boxes may begin outside the image, by less than
 * its side: an image is continued by reflection at its outermost pixels, ρ(r) = S − 1 − |S − 1 − |r||. Where `extended` is 1, the numbers after it count too: the
 * source box of height × width at (top, left) is stretched over the crop, and p and m are the pixels and the mean
 * image, sampled bilinearly at the corresponding point of that box:
 *
 *   y = top + clamp((i + ½) · height / crop − ½, 0, height − 1), likewise x of j', left and width
 *   own[c, i, j, n] = 0 in the erased box, else (Σ_k matrix[c][k] · p[k] + shift[c] − m[c]) · scale
 *   x[c, i, j, n]   = own(partner) in the cut box, else share · own(n) + (1 − share) · own(partner)
 *
 * Boxes consist of whole pixels, so that coordinates are fractions of integers and round alike on every device. The
 * erased and the cut box are in the crop's pixels, from (top, left) up to but excluding (bottom, right); an empty one
 * has bottom = top.
 *
 * pixels: N × S × S × 3 bytes, mean: S × S × 3, views: N × 32, x: 3 × crop × crop × N. x may hold only the first
 * images, the rest being only partners of others.
 */
import { ShapeError } from "../../errors.ts";
import { checkOptions, requireWhole, type OptionKinds } from "../../options.ts";
import { tapeFor } from "../inputs.ts";
import { kernel, line, type Elements } from "../kernel.ts";
import { format, type Tensor } from "../tensor.ts";
import wgsl from "../../../kernels/wgsl/augment.wgsl" with { type: "text" };

/** Length of the view of one image. */
export const VIEW_LENGTH = 32;

/** Indices of its numbers. */
export const VIEW = {
  top: 0,
  left: 1,
  /** 0 or 1. */
  mirror: 2,
  scale: 3,
  /** Red, green, blue. */
  shift: 4,
  /** 0: the numbers after it are ignored. */
  extended: 7,
  height: 8,
  width: 9,
  /** 3 × 3, row-major. */
  matrix: 10,
  /** Top, left, bottom, right. */
  erase: 19,
  /** Index in the batch of the image that this one is mixed with. */
  partner: 23,
  share: 24,
  /** Top, left, bottom, right. */
  cut: 25,
} as const;

export interface AugmentOptions {
  /** Number of images in the input, all by default; the rest are only there to be mixed with. */
  readonly seen?: number | undefined;
  /** Whether the input is stored in half precision, and with it what a network computes from it. */
  readonly half?: boolean;
}

const OPTIONS: OptionKinds<AugmentOptions> = { seen: "number?", half: "boolean?" };

/**
 * Makes a network's input.
 * @throws UsageError for an unknown option; ShapeError when the shapes don't fit or the crop is larger than the images
 */
export function augment(
  pixels: Tensor<"u8">,
  views: Tensor,
  mean: Tensor,
  crop: number,
  options: AugmentOptions = {},
): Tensor {
  checkOptions("augment", options, OPTIONS);
  const { seen, half = false } = options;
  const tape = tapeFor("augment", { pixels, views, mean }, { pixels: "u8" });
  const [images = 0, side = 0, width = 0, channels = 0] = pixels.shape;
  const count = seen ?? images;
  requireWhole("augment", { crop, seen: count });
  if (
    pixels.shape.length !== 4 ||
    channels !== 3 ||
    width !== side ||
    crop > side ||
    count > images ||
    views.size !== images * VIEW_LENGTH ||
    mean.size !== side * side * 3
  ) {
    throw new ShapeError(
      `augment: pixels ${format(pixels.shape)}, views ${format(views.shape)}, mean ${format(mean.shape)}, crop ${crop}, ${count} seen: ` +
        `need N × S × S × 3 bytes, N × ${VIEW_LENGTH} views, a mean of S × S × 3, a crop of at most S, at most N seen`,
    );
  }
  const x = tape.allocate([3, crop, crop, count], half ? "f16" : "f32") as Tensor;
  pixels.backend.run(
    augmentKernel,
    { pixels: pixels.buffer, views: views.buffer, mean: mean.buffer, x: x.buffer },
    { images: count, side, crop },
  );
  return x;
}

export const augmentKernel = kernel({
  name: "augment",
  module: import.meta.url,
  wgsl,
  buffers: { pixels: "read u8", views: "read", mean: "read", x: "write" },
  uniforms: { images: "u32", side: "u32", crop: "u32" },
  workgroups: ({ images, crop }) => line(crop * crop * images),
  reference({ pixels, views, mean, x }, { images, side, crop }) {
    const at = (n: number, k: number): number => views[n * VIEW_LENGTH + k]!;

    const usual = (n: number, i: number, j: number, c: number): number => {
      const row = reflect(at(n, VIEW.top) + i, side);
      const column = reflect(at(n, VIEW.left) + (at(n, VIEW.mirror) ? crop - 1 - j : j), side);
      const from = (row * side + column) * 3 + c;
      return (pixels[n * side * side * 3 + from]! - mean[from]! + at(n, VIEW.shift + c)) * at(n, VIEW.scale);
    };

    const own = (n: number, i: number, j: number, c: number): number => {
      if (!at(n, VIEW.extended)) return usual(n, i, j, c);
      if (isInside(views, n * VIEW_LENGTH + VIEW.erase, i, j)) return 0;
      const y = place(i, at(n, VIEW.top), at(n, VIEW.height), crop);
      const x = place(at(n, VIEW.mirror) ? crop - 1 - j : j, at(n, VIEW.left), at(n, VIEW.width), crop);
      const sample = (from: Elements, first: number, channel: number): number => {
        const value = (row: number, column: number) =>
          from[first + (reflect(row, side) * side + reflect(column, side)) * 3 + channel]!;
        const upper = mix(value(y.low, x.low), value(y.low, x.high), x.weight);
        return mix(upper, mix(value(y.high, x.low), value(y.high, x.high), x.weight), y.weight);
      };
      let value = 0;
      for (let k = 0; k < 3; k++) {
        value += at(n, VIEW.matrix + 3 * c + k) * sample(pixels, n * side * side * 3, k);
      }
      return (value + at(n, VIEW.shift + c) - sample(mean, 0, c)) * at(n, VIEW.scale);
    };

    const mixed = (n: number, i: number, j: number, c: number): number => {
      if (!at(n, VIEW.extended)) return usual(n, i, j, c);
      const share = isInside(views, n * VIEW_LENGTH + VIEW.cut, i, j) ? 0 : at(n, VIEW.share);
      const value = share === 0 ? 0 : share * own(n, i, j, c);
      return share === 1 ? value : value + (1 - share) * own(at(n, VIEW.partner), i, j, c);
    };

    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < crop; i++) {
        for (let j = 0; j < crop; j++) {
          for (let n = 0; n < images; n++) x[((c * crop + i) * crop + j) * images + n] = mixed(n, i, j, c);
        }
      }
    }
  },
});

/** The pixel of an image that stands at `at` when the image is continued by reflection. */
function reflect(at: number, side: number): number {
  return side - 1 - Math.abs(side - 1 - Math.abs(at));
}

/**
 * Along one side of the source box: the two pixels between which the crop's pixel i lies, and the weight of the second.
 */
function place(i: number, start: number, length: number, crop: number) {
  const [numerator, denominator] = [Math.max(0, (2 * i + 1) * length - crop), 2 * crop];
  const whole = Math.min(Math.floor(numerator / denominator), length - 1);
  const high = Math.min(whole + 1, length - 1);
  return { low: start + whole, high: start + high, weight: (numerator % denominator) / denominator };
}

function mix(a: number, b: number, weight: number): number {
  return a + weight * (b - a);
}

/** Whether pixel (i, j) lies in the box that is stored from `at` on. */
function isInside(views: Elements, at: number, i: number, j: number): boolean {
  return i >= views[at]! && j >= views[at + 1]! && i < views[at + 2]! && j < views[at + 3]!;
}
