/** Passes of layers as pieces of work: their contestants, the amount of work, and how results are checked. */
import type { Backend, HostArray } from "../src/engine/backend.ts";
import type { Conv2dOptions } from "../src/engine/ops/conv2d.ts";
import { paddingOf } from "../src/engine/ops/shapes.ts";
import { openReference } from "../src/engine/reference.ts";
import { size } from "../src/engine/tensor.ts";
import { largestTensorBytes } from "../src/net/fit.ts";
import type { Layer } from "../src/net/layer.ts";
import { leaves, place } from "../src/net/model.ts";
import type { Network } from "../src/net/recipe.ts";
import type { Entrant, Opened, Piece } from "./bench.ts";
import { checkAll, checkSamples, requireFinite } from "./check.ts";
import { columnsOf } from "./data.ts";
import type { BenchDevice } from "./devices.ts";
import { exactConv, exactLinear, type Exact, type Operands } from "./exact.ts";
import { loadPass, operandsOf, profileRepeats, type LayerPass, type PassName, type PlacedSimple } from "./pass.ts";
import type { Work } from "./results.ts";

/** A layer with its name in tables. */
export interface NamedLayer extends PlacedSimple {
  readonly label: string;
  readonly multiplyAdds: number;
}

/** A network's layers, without blocks. Unnamed ones are labelled by the last named one, as in "relu after conv1". */
export function namedLayers(network: Network): NamedLayer[] {
  let last = "input";
  return leaves(place(network)).flatMap(({ layer, ...placed }) => {
    if ("branches" in layer) return [];
    last = layer.name || last;
    return { ...placed, layer, label: labelOf(layer, last) };
  });
}

/** @param last the last layer with a name, in the order of execution */
export function labelOf({ kind, name }: Layer, last: string): string {
  return name || `${kind} after ${last}`;
}

/** What contestants share. Operands are made on first use. */
export interface Task {
  readonly layer: NamedLayer;
  readonly pass: PassName;
  readonly images: number;
  readonly operands: () => Operands;
}

interface PieceOptions {
  /** Other contestants on a device, such as the rungs of a ladder. */
  readonly others?: (task: Task, device: BenchDevice) => Entrant[];
  readonly name?: string;
  readonly zeroBias?: boolean;
}

/** The functions in src/engine/ops whose names differ from the kind of layer. */
const OPS: Readonly<Record<string, string>> = { fc: "linear", conv: "conv2d", local: "local2d" };

export function layerPiece(
  suite: string,
  layer: NamedLayer,
  pass: PassName,
  images: number,
  devices: readonly BenchDevice[],
  { others = () => [], zeroBias = false, name }: PieceOptions = {},
): Piece {
  const taskOf = (count: number): Task => {
    let operands: Operands | undefined;
    return { layer, pass, images: count, operands: () => (operands ??= operandsOf(layer, count, zeroBias)) };
  };
  const task = taskOf(images);
  const less = Math.max(1, Math.floor(images / 32));
  const small = taskOf(less);
  const entrants = devices.flatMap((device): Entrant[] => [
    ...others(task, device),
    {
      contestant: pass === "bias gradient" ? "row_sum" : (OPS[layer.layer.kind] ?? layer.layer.kind),
      ...{ device, clock: "device", unfit: unfit(layer, images, device) },
      open: async () => openPass(task, device.backend, load(task, device.backend)),
      ...(less < images && {
        trials: [
          {
            work: workOf(layer, pass, less),
            open: async () => openPass(small, device.backend, load(small, device.backend)),
          },
        ],
      }),
    },
  ]);
  const title = layer.parameters.length === 0 && pass === "input gradient" ? "backward" : pass;
  const work = workOf(layer, pass, images);
  return { suite, name: name ?? `${layer.label} ${title}, batch ${images}`, work, entrants };
}

function load({ layer, pass, operands }: Task, backend: Backend): LayerPass {
  return loadPass(backend, layer, pass, operands());
}

/** Makes a contestant of a pass, or of a kernel that computes the same. */
export function openPass(task: Task, backend: Backend, pass: LayerPass): Opened {
  let names: readonly string[] = [];
  return {
    async run(repeats) {
      const { samples, kernels } = await profileRepeats(backend, () => pass.queue(), repeats);
      names = kernels.map(({ kernel }) => kernel);
      return samples;
    },
    check: async () => checkPass(task, await pass.compute()),
    kernels: () => names,
    close: async () => pass.free(),
  };
}

/** Layers whose ops split tensors that are too large to bind. */
const CUT = ["fc", "relu", "tanh"];

export function unfit(layer: NamedLayer, images: number, { backend, device }: BenchDevice): string | undefined {
  const bytes = largestTensorBytes([layer], images);
  const { bindingBytes } = backend.limits;
  if (bytes <= bindingBytes || CUT.includes(layer.layer.kind)) return undefined;
  const megabytes = (n: number) => `${Math.ceil(n / 1e6)} MB`;
  return `a tensor of ${megabytes(bytes)}: ${device} binds at most ${megabytes(bindingBytes)}`;
}

/**
 * Products count two flop per multiply-add, including those with padding, in each of the three passes. All others count
 * the bytes that must be read and written, each once; README.md has the list.
 */
export function workOf({ layer, input, output, multiplyAdds }: NamedLayer, pass: PassName, images: number): Work {
  const [inputs, outputs] = [size(input) * images, size(output) * images];
  if (pass === "bias gradient") return { unit: "byte", amount: 4 * outputs };
  if (multiplyAdds > 0) return { unit: "flop", amount: 2 * multiplyAdds * images };
  // Numbers of 4 bytes moved in the forward and the backward pass.
  const traffic: Readonly<Record<string, readonly [forward: number, backward: number]>> = {
    relu: [2 * inputs, 3 * inputs], //                           x → y;            y, dy → dx
    tanh: [2 * inputs, 3 * inputs],
    dropout: [2 * inputs, 2 * inputs], //                        x → y;            dy → dx
    lrn: [2 * inputs, 3 * inputs],
    "map-norm": [3 * inputs, 4 * inputs], //                     x → y, s;         x, s, dy → dx
    "max-pool": [inputs + 2 * outputs, inputs + 2 * outputs], // x → y, argmax;    dy, argmax → dx
    "average-pool": [inputs + outputs, inputs + outputs], //     x → y;            dy → dx
    "global-average-pool": [inputs + outputs, inputs + outputs],
    "batch-norm": [3 * inputs, 5 * inputs], //                   x; x → y;         x, dy; x, dy → dx
  };
  const [forward, backward] = traffic[layer.kind] ?? [inputs + outputs, inputs + 2 * outputs];
  return { unit: "byte", amount: 4 * (pass === "forward" ? forward : backward) };
}

/** @throws WrongResult */
async function checkPass({ layer, pass, images, operands }: Task, found: HostArray): Promise<string> {
  if (pass === "bias gradient") return checkSamples(found, (row) => rowSum(operands().dy, found.length, row));
  const exact = exactOf(layer, images, operands);
  if (exact) {
    return checkSamples(found, { forward: exact.y, "input gradient": exact.dx, "weight gradient": exact.dw }[pass]);
  }
  const all = operands();
  // Dropout's mask depends on an element's position, and locally connected layers are small.
  const whole = layer.layer.kind === "dropout" || layer.layer.kind === "local" || images <= 2;
  const picked = whole ? undefined : [0, images - 1];
  const part = picked ? { ...all, x: columnsOf(all.x, images, picked), dy: columnsOf(all.dy, images, picked) } : all;
  const expected = await loadPass(openReference("f64"), layer, pass, part).compute();
  requireFinite(found);
  return picked
    ? checkAll(
        columnsOf(found as Float32Array, images, picked),
        expected,
        "all of two images by the plain loops in float64, the rest finite",
      )
    : checkAll(found, expected, "all of it by the plain loops in float64");
}

/** How the windows of a convolution lie; `pad` is above and on the left. */
export function windowsOf({ layer, input, parameters }: NamedLayer): { stride: number; pad: number; groups: number } {
  const { stride = 1, pad = 0, groups = 1 } = layer.options as Conv2dOptions;
  return { stride, pad: paddingOf(input[1], parameters[0]!.shape[2]!, stride, pad)[0], groups };
}

/** For layers that are products; undefined for others. */
function exactOf(named: NamedLayer, images: number, operands: () => Operands): Exact | undefined {
  const { layer, input, output, parameters } = named;
  if (layer.kind === "fc") return exactLinear(operands(), size(input), size(output), images);
  if (layer.kind !== "conv") return undefined;
  const filter = parameters[0]!.shape[2]!;
  return exactConv(operands(), { ...windowsOf(named), input, output, size: filter, images });
}

function rowSum(x: Float32Array, rows: number, row: number): number {
  const columns = x.length / rows;
  let sum = 0;
  for (let i = row * columns; i < (row + 1) * columns; i++) sum += x[i]!;
  return sum;
}
