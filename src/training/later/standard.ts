/** Standardises features, so that one rate suits the last layer of every network. */
import type { Parameter } from "../../engine/parameter.ts";
import type { FeatureSet } from "./feature_set.ts";

/** A feature that hardly varies is not blown up to unit variance. */
const LEAST_DEVIATION = 0.05;

/** What features are standardised by: (x − mean) / deviation. */
export interface Standard {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** @param shifts whether the mean is subtracted */
export function standardOf(features: FeatureSet, shifts: boolean): Standard {
  const { size, length } = features;
  const [sums, squares, row] = [new Float64Array(size), new Float64Array(size), new Float32Array(size)];
  for (let n = 0; n < length; n++) {
    features.read(Uint32Array.of(n), row);
    for (let i = 0; i < size; i++) {
      sums[i]! += row[i]!;
      squares[i]! += row[i]! ** 2;
    }
  }
  const mean = sums.map((sum) => sum / length);
  const variance = squares.map((square, i) => Math.max(0, square / length - mean[i]! ** 2));
  const typical = Math.sqrt(variance.reduce((sum, each) => sum + each, 0) / size) || 1;
  return {
    mean: shifts ? mean : mean.fill(0),
    deviation: variance.map((each) => Math.max(Math.sqrt(each), LEAST_DEVIATION * typical)),
  };
}

/** Makes weights for standardised features those for features as they are. */
export async function fold([weight, bias]: readonly Parameter[], { mean, deviation }: Standard): Promise<void> {
  const { backend } = weight!;
  const [w, b] = [(await weight!.read()) as Float32Array, (await bias?.read()) as Float32Array | undefined];
  const size = mean.length;
  for (let at = 0; at < w.length; at++) {
    const i = at % size;
    w[at]! /= deviation[i]!;
    if (b) b[Math.floor(at / size)]! -= w[at]! * mean[i]!;
  }
  backend.write(weight!.buffer, w);
  if (b) backend.write(bias!.buffer, b);
}
