/** The weights of a matched file, as this program's networks take them. */
import { basename } from "node:path";
import { CheckpointError } from "../../errors.ts";
import type { HostContents } from "../checkpoint.ts";
import type { TensorSource } from "../safetensors.ts";
import type { Match } from "./match.ts";
import { describe, foldInto, meanImage, type Preprocessing } from "./preprocessing.ts";
import type { WeightFile } from "./weight_file.ts";

/**
 * A checkpoint's contents, read whole, so that errors come before anything is written.
 * @throws UsageError for a mean image of another size; CheckpointError for numbers that are infinite or NaN
 */
export async function importedContents(
  match: Match,
  file: WeightFile,
  preprocessing: Preprocessing,
  classes: readonly string[],
): Promise<HostContents> {
  const { network } = match;
  return {
    ...{ network, classes, mean: meanImage(preprocessing, network.record) },
    parameters: await readParameters(match, file, preprocessing),
    state: { imported: { file: basename(file.path), format: file.format, preprocessing: describe(preprocessing) } },
  };
}

async function readParameters(
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
