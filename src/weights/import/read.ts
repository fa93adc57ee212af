/** The weights of a matched file, as this program's networks take them. */
import { CheckpointError } from "../../errors.ts";
import type { TensorSource } from "../safetensors.ts";
import type { Match } from "./match.ts";
import { foldInto, type Preprocessing } from "./preprocessing.ts";
import type { WeightFile } from "./weight_file.ts";

/**
 * Reads all parameters, so that errors come before anything is written.
 * @throws CheckpointError for numbers that are infinite or NaN
 */
export async function readParameters(
  { parameters, network }: Match,
  file: WeightFile,
  preprocessing: Preprocessing,
): Promise<TensorSource[]> {
  const read: TensorSource[] = [];
  for (const [i, { name, shape, read: numbers }] of parameters.entries()) {
    const values = await numbers();
    if (values.some((value) => !Number.isFinite(value))) {
      throw new CheckpointError(`${file.path}: ${name} of ${network.name} has numbers that are infinite or NaN`);
    }
    // conv1's weights are the first.
    const folded = i === 0 ? foldInto(values, shape, preprocessing) : values;
    read.push({ name, shape, read: async () => folded });
  }
  return read;
}
