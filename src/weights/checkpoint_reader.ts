/** What a checkpoint's tensors and metadata say: from a file, or from the bytes that a page has. */
import { format } from "../engine/tensor.ts";
import { CheckpointError } from "../errors.ts";
import { layerOf, type Model } from "../net/model.ts";
import type { Optimizer } from "../net/optimizer.ts";
import { setting } from "../option_names.ts";
import { checkCalibration, type Calibration, type Prototypes } from "./calibration.ts";
import type { Safetensors, TensorEntry } from "./safetensors.ts";

/** `format` in the metadata of this program's checkpoints. */
export const FORMAT = "alexnet-1";
/** The tensor of the mean image. */
export const MEAN = "preprocessing.mean";
export const PROTOTYPES = "calibration.prototypes";

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

/** @param path for messages @throws CheckpointError when it is damaged or of another kind */
export function readCheckpoint(path: string, file: Safetensors): Checkpoint {
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
      const tensors = [...model.parameters, ...model.state].filter(({ name }) => !except.includes(layerOf(name)));
      const room = new ArrayBuffer(4 * Math.max(0, ...tensors.map(({ buffer }) => buffer.length)));
      for (const { name, shape, backend, buffer } of tensors) backend.write(buffer, entry(name, shape).read(room));
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
