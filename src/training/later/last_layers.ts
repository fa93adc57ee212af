/** The last layers of a network, on features: what the layers before them make of images. */
import { Tape } from "../../engine/tape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import type { Model } from "../../net/model.ts";
import type { Pass } from "../../net/layer.ts";
import type { FeatureSet } from "./feature_set.ts";
import type { Standard } from "./standard.ts";

/** Rows of features, and what they are standardised by, if they are. */
export interface Rows {
  readonly features: FeatureSet;
  readonly rows: Uint32Array;
  readonly standard?: Standard;
}

/**
 * The logits of N rows, classes × N.
 * @param first the first of the layers after the features
 */
export function forwardRows(tape: Tape, model: Model, first: number, from: Rows, pass?: Pass): Tensor {
  const x = tape.input([...model.layers[first]!.input, from.rows.length], columnsOf(from));
  return model.forward(x, pass, undefined, first);
}

/** As `forwardRows`, read from the device. */
export async function logitsOf(model: Model, first: number, from: Rows): Promise<Float32Array> {
  const tape = new Tape(model.parameters[0]!.backend, { record: false });
  const logits = await forwardRows(tape, model, first, from).read();
  tape.release();
  return logits as Float32Array;
}

/** Features × N, as a device has them. */
function columnsOf({ features, rows, standard }: Rows): Float32Array {
  const { size } = features;
  const values = new Float32Array(rows.length * size);
  features.read(rows, values);
  const columns = new Float32Array(values.length);
  for (let i = 0; i < size; i++) {
    const [mean, deviation] = standard ? [standard.mean[i]!, standard.deviation[i]!] : [0, 1];
    for (let n = 0; n < rows.length; n++) columns[i * rows.length + n] = (values[n * size + i]! - mean) / deviation;
  }
  return columns;
}
