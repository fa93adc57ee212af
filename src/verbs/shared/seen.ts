/** Turns a network's input back into visible images. */
import { augment, VIEW, VIEW_LENGTH } from "../../engine/ops/augment.ts";
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import type { Raster } from "../../pictures/pixels.ts";

/** The network's input for each image as pixels, with the mean image added back. */
export async function seen(mean: Tensor, pixels: Uint8Array, views: Float32Array, crop: number): Promise<Raster[]> {
  const images = views.length / VIEW_LENGTH;
  const inputs = await augmented(mean, pixels, views, crop);
  // Black images come out as the negated mean image, cropped and mixed in the same way.
  const means = await augmented(mean, new Uint8Array(pixels.length), onlyGeometry(views), crop);
  return Array.from({ length: images }, (_, n) => {
    const rgb = new Uint8Array(crop * crop * 3);
    for (let i = 0; i < crop * crop; i++) {
      for (let c = 0; c < 3; c++) {
        const at = (c * crop * crop + i) * images + n;
        rgb[3 * i + c] = Math.min(255, Math.max(0, Math.round(inputs[at]! - means[at]!)));
      }
    }
    return { pixels: rgb, width: crop, height: crop };
  });
}

async function augmented(mean: Tensor, pixels: Uint8Array, views: Float32Array, crop: number): Promise<Float32Array> {
  const images = views.length / VIEW_LENGTH;
  const tape = new Tape(mean.backend, { record: false });
  const [, side] = mean.shape;
  const x = augment(
    tape.input([images, side!, side!, 3], pixels),
    tape.input([images, VIEW_LENGTH], views),
    mean,
    crop,
  );
  const values = await x.read();
  tape.release();
  return values;
}

/** The same views without colour changes and erasing. */
function onlyGeometry(views: Float32Array): Float32Array {
  const kept = views.slice();
  for (let at = 0; at < kept.length; at += VIEW_LENGTH) {
    kept[at + VIEW.scale] = 1;
    kept.fill(0, at + VIEW.shift, at + VIEW.shift + 3);
    kept.fill(0, at + VIEW.erase, at + VIEW.erase + 4);
  }
  return kept;
}
