/** Forward passes that read back class probabilities, or the activations of a layer. */
import { VIEW_LENGTH } from "../engine/ops/augment.ts";
import { Tape } from "../engine/tape.ts";
import type { Tensor } from "../engine/tensor.ts";
import type { Model } from "../net/model.ts";
import { networkInput, type Images } from "../net/passes.ts";

/**
 * Softmax outputs, classes × N, averaged over several views of the same images [P §4.1].
 * @param temperature what the logits are divided by
 */
export async function probabilities(
  model: Model,
  mean: Tensor,
  pixels: Uint8Array,
  views: readonly Float32Array[],
  temperature = 1,
): Promise<Float64Array> {
  const images = views[0]!.length / VIEW_LENGTH;
  const sums = new Float64Array(model.classes * images);
  for (const view of views) {
    const tape = new Tape(mean.backend, { record: false });
    const logits = model.forward(networkInput(tape, model, mean, { pixels, views: view }));
    const values = await logits.read();
    tape.release();
    addSoftmax(sums, values, images, temperature);
  }
  return sums.map((sum) => sum / views.length);
}

/** The output of the first `count` layers, N × (channels × height × width): a row for each image. */
export async function activations(model: Model, mean: Tensor, images: Images, count: number): Promise<Float32Array> {
  const tape = new Tape(mean.backend, { record: false });
  const x = networkInput(tape, model, mean, images);
  const values = await model.forward(x, undefined, count).read();
  tape.release();
  return rowsOf(values, images.views.length / VIEW_LENGTH);
}

/** As `activations`, and the logits, classes × N, that follow from them. */
export async function activationsAndLogits(
  model: Model,
  mean: Tensor,
  images: Images,
  count: number,
): Promise<{ readonly rows: Float32Array; readonly logits: Float32Array }> {
  const tape = new Tape(mean.backend, { record: false });
  const x = model.forward(networkInput(tape, model, mean, images), undefined, count).keep();
  const logits = model.forward(x, undefined, undefined, count);
  const [features, values] = [await x.read(), await logits.read()];
  tape.release();
  return { rows: rowsOf(features, images.views.length / VIEW_LENGTH), logits: values };
}

/** The N columns that the device has, as rows. */
export function rowsOf(values: Float32Array, n: number): Float32Array {
  const each = values.length / n;
  const rows = new Float32Array(values.length);
  for (let i = 0; i < each; i++) for (let k = 0; k < n; k++) rows[k * each + i] = values[i * n + k]!;
  return rows;
}

/** The softmax over each column of K × N logits. */
export function softmax(logits: Float32Array, images: number, temperature?: number): Float64Array {
  const p = new Float64Array(logits.length);
  addSoftmax(p, logits, images, temperature);
  return p;
}

/** Adds the softmax over each column of K × N logits. */
function addSoftmax(sums: Float64Array, logits: Float32Array, images: number, temperature = 1): void {
  for (let n = 0; n < images; n++) {
    let max = -Infinity;
    let total = 0;
    for (let i = n; i < logits.length; i += images) max = Math.max(max, logits[i]!);
    for (let i = n; i < logits.length; i += images) total += Math.exp((logits[i]! - max) / temperature);
    for (let i = n; i < logits.length; i += images) sums[i]! += Math.exp((logits[i]! - max) / temperature) / total;
  }
}
