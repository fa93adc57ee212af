/**
 * Checkpoints: safetensors files whose weights have PyTorch's names and shapes. They also hold the mean image
 * (`preprocessing.mean`) and, for resuming, the optimizer's state (SGD's is `velocity.NAME`). The metadata hold the
 * network, by name and as JSON, the class names, and the training's state as JSON. The best checkpoint of a finished
 * training has its calibration too, in the metadata and as `calibration.prototypes`.
 */
import { CheckpointError, ShapeError } from "../errors.ts";
import { networkMetadata } from "../net/definition.ts";
import type { Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import type { Network } from "../net/recipe.ts";
import { stateTensor } from "../net/state.ts";
import { checkOptions, show, type OptionKinds } from "../options.ts";
import type { Calibration, Prototypes } from "./calibration.ts";
import { FORMAT, MEAN, PROTOTYPES, readCheckpoint, type Checkpoint } from "./checkpoint_reader.ts";
import { openSafetensors, writeSafetensors, type TensorSource } from "./safetensors.ts";

export { FORMAT, type Checkpoint } from "./checkpoint_reader.ts";

export interface CheckpointContents {
  readonly model: Model;
  /** Class names, in the order of the outputs. */
  readonly classes: readonly string[];
  /** S × S × 3, subtracted from every record. */
  readonly mean: Float32Array;
  /** Its state is saved too; without it, the training can't be resumed. */
  readonly optimizer?: Pick<Optimizer, "state">;
  /** Anything JSON can hold. */
  readonly state: unknown;
}

const CONTENTS: OptionKinds<CheckpointContents> = {
  ...{ model: "object", classes: "string[]", mean: "any", optimizer: "object?", state: "any" },
};

/**
 * Writes atomically; the same contents give the same bytes.
 * @param previous where to keep the checkpoint that it replaces
 * @throws AlexNetError when it can't be written; ShapeError or UsageError for contents that don't fit the model
 */
export async function saveCheckpoint(path: string, contents: CheckpointContents, previous?: string): Promise<void> {
  checkOptions("saveCheckpoint", contents, CONTENTS);
  const { model, classes, mean, optimizer } = contents;
  const { record } = model.network;
  if (classes.length !== model.classes) {
    throw new ShapeError(`saveCheckpoint: ${classes.length} class names for a model with ${model.classes} classes`);
  }
  if (!(mean instanceof Float32Array) || mean.length !== record * record * 3) {
    throw new ShapeError(
      `saveCheckpoint: the mean is ${show(mean)} of ${mean.length} numbers, must be a Float32Array of ${record} × ${record} × 3`,
    );
  }
  const tensors = {
    parameters: [...model.parameters, ...model.state].map((tensor) => stateTensor(tensor.name, tensor)),
    ...(optimizer && { optimizerState: optimizer.state }),
  };
  await writeCheckpoint(path, { ...contents, network: model.network, ...tensors }, previous);
}

/** A checkpoint's contents without a model on a device. */
export interface HostContents extends Omit<CheckpointContents, "model" | "optimizer"> {
  readonly network: Network;
  /** In the network's order: all parameters, then the layers' state. */
  readonly parameters: readonly TensorSource[];
  /** Whether these are written in half precision. */
  readonly half?: boolean;
  readonly optimizerState?: readonly TensorSource[];
  readonly calibrated?: Calibrated | undefined;
}

/** What is known about a network's answers, and about what they are answers to. */
export interface Calibrated {
  readonly calibration: Calibration;
  readonly prototypes: Prototypes;
}

/** As `saveCheckpoint`. */
export async function writeCheckpoint(path: string, contents: HostContents, previous?: string): Promise<void> {
  const { network, parameters, half = false, optimizerState = [], classes, mean, state, calibrated } = contents;
  const { record } = network;
  const tensors: TensorSource[] = [
    ...parameters.map((parameter) => ({ ...parameter, half })),
    { name: MEAN, shape: [record, record, 3], read: async () => mean },
    ...optimizerState,
    ...(calibrated ? [prototypeTensor(calibrated.prototypes)] : []),
  ];
  const metadata = {
    format: FORMAT,
    ...networkMetadata(network),
    classes: JSON.stringify(classes),
    state: JSON.stringify(state),
    ...(calibrated && { calibration: JSON.stringify(calibrated.calibration) }),
  };
  await writeSafetensors(path, tensors, metadata, previous);
}

const prototypeTensor = ({ shape, values }: Prototypes): TensorSource => ({
  ...{ name: PROTOTYPES, shape, half: true },
  read: async () => values,
});

/**
 * Reads a whole checkpoint, and says what is wrong with it: missing, cut short, or damaged. Undefined if nothing is. In
 * files of versions without checksums, only cuts can be detected.
 */
export function damageOf(path: string): string | undefined {
  try {
    using file = openSafetensors(path);
    readCheckpoint(path, file);
    for (const tensor of file.tensors.values()) tensor.read();
    return undefined;
  } catch (error) {
    if (error instanceof CheckpointError) return error.message;
    throw error;
  }
}

/** @throws CheckpointError when the file is missing, damaged or of another kind */
export function openCheckpoint(path: string): Checkpoint {
  const file = openSafetensors(path);
  try {
    return readCheckpoint(path, file);
  } catch (error) {
    file.close();
    throw error;
  }
}
