/**
 * Checkpoints: safetensors files whose weights have PyTorch's names and shapes. They also hold the mean image
 * (`preprocessing.mean`) and, for resuming, the optimizer's state (SGD's is `velocity.NAME`). The metadata hold the
 * network, by name and as JSON, the class names, and the training's state as JSON. The best checkpoint of a finished
 * training has its calibration too, in the metadata and as `calibration.prototypes`.
 */
import { format } from "../engine/tensor.ts";
import { CheckpointError, ShapeError } from "../errors.ts";
import { networkMetadata } from "../net/definition.ts";
import { layerOf, type Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import type { Network } from "../net/recipe.ts";
import { stateTensor } from "../net/state.ts";
import { setting } from "../option_names.ts";
import { checkOptions, show, type OptionKinds } from "../options.ts";
import { checkCalibration, type Calibration, type Prototypes } from "./calibration.ts";
import {
  openSafetensors,
  writeSafetensors,
  type Safetensors,
  type TensorEntry,
  type TensorSource,
} from "./safetensors.ts";

/** `format` in the metadata of this program's checkpoints. */
export const FORMAT = "alexnet-1";
const MEAN = "preprocessing.mean";
const PROTOTYPES = "calibration.prototypes";

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

export interface Checkpoint extends Disposable {
  readonly path: string;
  readonly network: string;
  readonly classes: readonly string[];
  readonly state: unknown;
  /** S × S × 3. */
  readonly mean: Float32Array;
  /** Only of a training that was finished with enough validation images. */
  readonly calibration?: Calibration;
  /** The prototypes that belong to the calibration. @throws CheckpointError when they are missing or damaged */
  prototypes(): Prototypes;
  /** All of the file's metadata; `networkIn` reads the network from it. */
  readonly metadata: Readonly<Record<string, string>>;
  /** @throws CheckpointError when the tensor is missing or has another shape */
  require(name: string, shape: readonly number[]): void;
  /** The values of a parameter or a layer's state. @throws CheckpointError when missing or of another shape */
  numbers(name: string, shape: readonly number[]): Float32Array;
  /**
   * Loads the weights into a model, and the optimizer's state if an optimizer is given.
   * @param except layers that are left as they are
   * @throws CheckpointError when the file is of another network or lacks something
   */
  loadInto(model: Model, optimizer?: Pick<Optimizer, "state">, except?: readonly string[]): void;
  close(): void;
}

/**
 * Reads a whole checkpoint, and says what is wrong with it: missing, cut short, or damaged. Undefined if nothing is. In
 * files of versions without checksums, only cuts can be detected.
 */
export function damageOf(path: string): string | undefined {
  try {
    using file = openSafetensors(path);
    read(path, file);
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
    return read(path, file);
  } catch (error) {
    file.close();
    throw error;
  }
}

function read(path: string, file: Safetensors): Checkpoint {
  const { format: kind, network, classes, state, calibration } = file.metadata;
  if (kind !== FORMAT || !network || !classes || !state) {
    throw new CheckpointError(
      `${path}: a safetensors file, but not a checkpoint of this program (format ${kind ?? "not given"})`,
    );
  }
  const entry = (name: string, shape?: readonly number[]): TensorEntry => {
    const found = file.tensors.get(name);
    if (!found) throw new CheckpointError(`${path}: ${name} is missing`);
    if (shape && found.shape.join() !== shape.join()) {
      throw new CheckpointError(`${path}: ${name} is ${format(found.shape)}, the model needs ${format(shape)}`);
    }
    return found;
  };
  return {
    path,
    network,
    classes: parseClasses(path, classes),
    state: parseJson(path, "state", state),
    mean: entry(MEAN).read(),
    ...(calibration !== undefined && {
      calibration: checkCalibration(path, parseJson(path, "calibration", calibration)),
    }),
    prototypes() {
      const { shape, read } = entry(PROTOTYPES);
      const [rows, features] = shape;
      if (shape.length !== 2 || !rows || !features) {
        throw new CheckpointError(`${path}: ${PROTOTYPES} is ${format(shape)}, must be rows × features`);
      }
      return { shape: [rows, features], values: read() };
    },
    metadata: file.metadata,
    require: (name, shape) => void entry(name, shape),
    numbers: (name, shape) => entry(name, shape).read(),
    loadInto(model, optimizer, except = []) {
      if (model.network.name !== network) {
        throw new CheckpointError(`${path}: a checkpoint of ${network}, not of ${model.network.name}`);
      }
      entry(MEAN, [model.network.record, model.network.record, 3]);
      for (const { name, shape, backend, buffer } of [...model.parameters, ...model.state]) {
        if (!except.includes(layerOf(name))) backend.write(buffer, entry(name, shape).read());
      }
      if (!optimizer) return;
      const [saved, needed] = [[...file.tensors.keys()], optimizer.state.map(({ name }) => name)].map(kindsOfState);
      if (saved && saved !== needed) {
        throw new CheckpointError(
          `${path}: has the state of an optimizer that keeps ${saved}, the run's keeps ${needed}: ` +
            `put the run's config.json back as it was, or begin a new run from the weights: ${setting("from", path)}`,
        );
      }
      for (const { name, shape, write } of optimizer.state) write(entry(name, shape).read());
    },
    close: file.close,
    [Symbol.dispose]: file.close,
  };
}

/** What an optimizer keeps, by the names of its tensors: "velocity", or "mean, square, steps". */
function kindsOfState(names: readonly string[]): string {
  const kinds = names.flatMap((name) => /^(?:optimizer\.[^.]+|velocity(?=\.))/.exec(name)?.[0].split(".").at(-1) ?? []);
  return [...new Set(kinds)].sort().join(", ");
}

function parseClasses(path: string, text: string): readonly string[] {
  const classes = parseJson(path, "classes", text);
  if (!Array.isArray(classes) || classes.length < 2 || classes.some((name) => typeof name !== "string")) {
    throw new CheckpointError(`${path}: its class names must be a list of at least two names`);
  }
  // Normalised as in data sets: names of folders from macOS may be decomposed (NFD).
  return (classes as string[]).map((name) => name.normalize());
}

function parseJson(path: string, what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${path}: its ${what} is not JSON`, { cause: error });
  }
}
