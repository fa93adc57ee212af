/** Shape arithmetic shared by several ops. */
import { ShapeError } from "../../errors.ts";
import { show } from "../../options.ts";
import { format, type Tensor } from "../tensor.ts";

/** C, H, W and N of a tensor of images. @throws ShapeError for any other tensor */
export function imageShape(op: string, x: Tensor): [c: number, h: number, w: number, images: number] {
  const [c, h, w, images] = x.shape;
  if (x.shape.length !== 4 || c === undefined || h === undefined || w === undefined || images === undefined) {
    throw new ShapeError(`${op}: input ${format(x.shape)}, must be C × H × W × N`);
  }
  return [c, h, w, images];
}

/**
 * Zeros around an image: this many on each side; or as TensorFlow's "same" padding, so many that windows take
 * ⌈side / stride⌉ positions, of which an odd one is below or on the right. With stride 1 that is PyTorch's "same".
 */
export type Padding = number | "same";

/** @throws ShapeError unless `pad` is a padding */
export function requirePadding(where: string, pad: unknown): asserts pad is Padding {
  if (pad === "same" || (Number.isSafeInteger(pad) && (pad as number) >= 0)) return;
  throw new ShapeError(`${where}: pad is ${show(pad)}, must be a whole number, at least 0, or "same"`);
}

/** The zeros before and after one side. */
export function paddingOf(side: number, window: number, stride: number, pad: Padding): [before: number, after: number] {
  if (pad !== "same") return [pad, pad];
  const total = Math.max((Math.ceil(side / stride) - 1) * stride + window - side, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/**
 * The zeros above and to the left of an image, which kernels take to be equally many; those below and on the right
 * follow from the number of positions.
 * @throws ShapeError when they differ, as "same" may have it where image or window is oblong
 */
export function padBefore(
  op: string,
  image: readonly [h: number, w: number],
  window: readonly [kh: number, kw: number],
  stride: number,
  pad: Padding,
): number {
  const [above, left] = [0, 1].map((axis) => paddingOf(image[axis]!, window[axis]!, stride, pad)[0]);
  if (above === left) return above!;
  throw new ShapeError(
    `${op}: an image of ${format(image)}, a window of ${format(window)}, stride ${stride}: "same" is a padding of ` +
      `${above} above and ${left} on the left: these must be equal, as for a square window on a square image`,
  );
}

/**
 * Number of positions of a window along one side: ⌊(side + 2·pad − window) / stride⌋ + 1, or with the quotient rounded
 * up, as cuda-convnet pools: then the last window may hang over the edge, and only the pixels inside count. A window
 * that would start beyond the edge is dropped, as with PyTorch's ceil_mode.
 */
export function positions(side: number, window: number, stride: number, pad: Padding, round: "down" | "up"): number {
  if (pad === "same") return Math.ceil(side / stride);
  const steps = (side + 2 * pad - window) / stride;
  if (round === "down") return Math.floor(steps) + 1;
  const count = Math.ceil(steps) + 1;
  return (count - 1) * stride >= side + pad ? count - 1 : count;
}

/**
 * Visits each tap of a filter's window at output (p, q) that lies inside the image: `weight` is its index in w, `pixel`
 * that of its pixel in x (in units of N).
 * @param filter index of the filter in w, each maps.count × KH × KW
 * @param maps the maps of x that the filter reads
 */
export function eachWindowTap(
  u: Readonly<Record<"h" | "w" | "kh" | "kw" | "stride" | "pad", number>>,
  filter: number,
  maps: { readonly first: number; readonly count: number },
  p: number,
  q: number,
  visit: (weight: number, pixel: number) => void,
): void {
  for (let c = 0; c < maps.count; c++) {
    for (let i = 0; i < u.kh; i++) {
      const row = p * u.stride + i - u.pad;
      if (row < 0 || row >= u.h) continue;
      for (let j = 0; j < u.kw; j++) {
        const column = q * u.stride + j - u.pad;
        if (column < 0 || column >= u.w) continue;
        visit(((filter * maps.count + c) * u.kh + i) * u.kw + j, ((maps.first + c) * u.h + row) * u.w + column);
      }
    }
  }
}

/** @throws ShapeError when the shapes differ */
export function requireSameShape(op: string, a: Tensor, b: Tensor): void {
  if (format(a.shape) === format(b.shape)) return;
  throw new ShapeError(`${op}: shapes ${format(a.shape)} and ${format(b.shape)}: must be the same`);
}
