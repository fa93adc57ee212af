/**
 * From decoded pixels to a network's input, paper §2 and §4.1: crop, mirror, subtract the mean image, shift the colours.
 *
 *   x[c, i, j, n] = (pixels[n, y + i, x + j', c] − mean[y + i, x + j', c] + shift[c]) · scale
 *
 * with j' = crop − 1 − j if image n is mirrored, else j. What is drawn at random for image n stands in
 * views[n] = [y, x, mirror (0 or 1), scale, shift red, shift green, shift blue, unused].
 *
 * pixels: N × S × S × 3 bytes, mean: S × S × 3, views: N × 8, x: 3 × crop × crop × N.
 */
import { format, type Tensor } from "../autograd/tensor.ts";
import { tapeOf } from "../autograd/tape.ts";
import { kernel, line } from "../backends/kernel.ts";
import { ShapeError } from "../errors.ts";
import wgsl from "../../kernels/wgsl/augment.wgsl" with { type: "text" };

/** How many numbers describe the view of one image. */
export const VIEW_LENGTH = 8;

/** @throws ShapeError when the shapes don't fit or the crop is larger than the images. */
export function augment(pixels: Tensor, views: Tensor, mean: Tensor, crop: number): Tensor {
  const [images = 0, side = 0, width = 0, channels = 0] = pixels.shape;
  if (
    channels !== 3 ||
    width !== side ||
    crop > side ||
    views.size !== images * VIEW_LENGTH ||
    mean.size !== side * side * 3
  ) {
    throw new ShapeError(
      `augment: pixels ${format(pixels.shape)}, views ${format(views.shape)}, mean ${format(mean.shape)}, crop ${crop}: ` +
        `need N × S × S × 3 bytes, N × ${VIEW_LENGTH} views, a mean of S × S × 3, and a crop of at most S`,
    );
  }
  const x = tapeOf(pixels, views, mean).allocate([3, crop, crop, images]);
  pixels.backend.run(
    augmentKernel,
    { pixels: pixels.buffer, views: views.buffer, mean: mean.buffer, x: x.buffer },
    { images, side, crop },
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
    for (let n = 0; n < images; n++) {
      const [top, left, mirror, scale] = [0, 1, 2, 3].map((k) => views[n * VIEW_LENGTH + k]!) as [
        number,
        number,
        number,
        number,
      ];
      for (let i = 0; i < crop; i++) {
        for (let j = 0; j < crop; j++) {
          const from = ((top + i) * side + left + (mirror ? crop - 1 - j : j)) * 3;
          for (let c = 0; c < 3; c++) {
            const value = pixels[n * side * side * 3 + from + c]! - mean[from + c]! + views[n * VIEW_LENGTH + 4 + c]!;
            x[((c * crop + i) * crop + j) * images + n] = value * scale;
          }
        }
      }
    }
  },
});
