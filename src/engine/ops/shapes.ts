/** Shape arithmetic shared by several ops. */
import { ShapeError } from "../../errors.ts";
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
 * Number of positions of a window along one side: ⌊(side + 2·pad − window) / stride⌋ + 1, or with the quotient rounded
 * up, as cuda-convnet pools: then the last window may hang over the edge, and only the pixels inside count. A window
 * that would start beyond the edge is dropped, as with PyTorch's ceil_mode.
 */
export function positions(side: number, window: number, stride: number, pad: number, round: "down" | "up"): number {
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
