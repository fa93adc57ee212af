/**
 * Which network a file's tensors belong to: the one whose names and shapes they have, or else whose shapes, in the order
 * of the file. The last layer may have any number of classes. Two orders of axes occur: outputs first, as PyTorch, Caffe
 * and this program have them, and TensorFlow's, channels last, with inputs before outputs.
 */
import { CheckpointError, UsageError } from "../../errors.ts";
import { place, type PlacedLayer } from "../model.ts";
import type { ParameterSpec } from "../layers.ts";
import { findNetwork, networks } from "../networks.ts";
import type { Network } from "../recipe.ts";
import { brief, damaged, type SourceTensor, type WeightFile } from "./source.ts";

export interface Match {
  readonly network: Network;
  readonly classes: number;
  /** In the order of the network's parameters, each in its shape and order of axes. */
  readonly parameters: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    read(): Promise<Float32Array>;
  }[];
}

interface Named extends SourceTensor {
  readonly name: string;
}

/** What this program keeps beside a network's weights. */
const ASIDE = /^(preprocessing|velocity)\./;

/**
 * @param wanted the network's name, where a person or the file says it
 * @throws CheckpointError when the tensors fit none, or not the one that is wanted
 * @throws UsageError when they fit several
 */
export function matchNetwork(file: WeightFile, wanted?: string): Match {
  const tensors = plainNames(file);
  const candidates = wanted === undefined ? networks : [findNetwork(wanted)];
  const tries = candidates.map((network) => fit(network, tensors));
  const byOrder = tries.filter((attempt) => attempt.match !== undefined);
  const byName = byOrder.filter(({ hasNames }) => hasNames);
  const byShape = byName.length > 0 ? byName : byOrder;
  const fits = byShape.filter(({ network }) => hasLayers(network, file));
  if (byShape.length > 0 && fits.length === 0) {
    const said = file.layers!.map(({ name, lrn }) => (lrn ? `${name} (${lrnText(lrn)})` : name)).join(", ");
    const names = byShape.map(({ network }) => network.name).join(", ");
    throw damaged(
      file.path,
      `its weights have the shapes of ${names}, but it has ${brief(said)}, and none of them has`,
    );
  }
  if (fits.length === 1) return fits[0]!.match!;
  if (fits.length > 1) {
    const names = fits.map(({ match }) => match!.network.name);
    throw new UsageError(
      `${file.path} fits ${names.slice(0, -1).join(", ")} and ${names.at(-1)}, which have the same shapes: ` +
        `say with --model which of them it is`,
    );
  }
  const nearest = tries.reduce((best, attempt) => (attempt.agreed > best.agreed ? attempt : best));
  const whom = wanted === undefined ? "no network of this program" : `not ${wanted}`;
  const near = wanted === undefined ? `; nearest is ${nearest.network.name}, where ` : ": ";
  throw new CheckpointError(`${damaged(file.path, `its tensors fit ${whom}`).message}${near}${nearest.difference}`);
}

/** More names within names are no prefix of any program's. */
const MAX_PREFIXES = 8;

/** Without what stands before all names, as "module." of parallel training, and without counters. */
function plainNames({ tensors }: WeightFile): Named[] {
  const list = [...tensors]
    .filter(([name, { shape }]) => !ASIDE.test(name) && shape.length > 0)
    .map(([name, tensor]) => ({ name, shape: tensor.shape, read: () => tensor.read() }));
  for (let depth = 0; depth < MAX_PREFIXES; depth++) {
    const prefix = /^[^.]+\./.exec(list[0]?.name ?? "")?.[0];
    const isShared =
      prefix && list.every(({ name }) => name.startsWith(prefix) && name.indexOf(".", prefix.length) > 0);
    if (!isShared) break;
    for (const tensor of list) tensor.name = tensor.name.slice(prefix.length);
  }
  return list;
}

/** Whether a network normalises and pools as a file says, if it says so. Caffe divides α by n. */
function hasLayers(network: Network, { layers = [] }: WeightFile): boolean {
  if (layers.length === 0) return true;
  const ours = network.layers(2).filter(({ lrn, pool }) => lrn ?? pool);
  return (
    ours.length === layers.length &&
    layers.every(({ lrn }, i) => {
      const own = ours[i]!.lrn;
      if (!lrn || !own) return !lrn && !own;
      const isNear = (a: number, b: number) => Math.abs(a - b) <= 1e-5 * Math.abs(b);
      const isAlike = isNear(lrn.alpha / lrn.n, own.alpha) && isNear(lrn.beta, own.beta) && isNear(lrn.k, own.k);
      return isAlike && lrn.n === own.n && own.groups === 1;
    })
  );
}

const lrnText = ({ n, k, alpha, beta }: NonNullable<NonNullable<WeightFile["layers"]>[number]["lrn"]>): string =>
  `n ${n}, k ${k}, α ${Number(alpha.toPrecision(4))}/${n}, β ${beta}`;

interface Attempt {
  readonly network: Network;
  readonly match?: Match;
  readonly hasNames: boolean;
  /** How many parameters agreed before one did not, and how that one differs. */
  readonly agreed: number;
  readonly difference: string;
}

function fit(network: Network, tensors: readonly Named[]): Attempt {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const usual = specsOf(place(network));
  const hasNames = usual.every(({ spec }) => byName.has(spec.name));
  const given = hasNames ? usual.map(({ spec }) => byName.get(spec.name)!) : tensors;
  const channelsLast = given.some(({ shape }, i) => shape.length === 4 && isTurned(shape, usual[i]?.spec.shape));
  // The biases of the last layer are as many as there are classes.
  const classes = given[usual.length - 1]?.shape.at(-1);
  const hasClasses = classes !== undefined && classes >= 2;
  const specs = hasClasses ? specsOf(place(network, classes)) : usual;
  for (const [i, { spec, image }] of specs.entries()) {
    const tensor = given[i];
    const layout = tensor && layoutOf(tensor.shape, spec.shape, channelsLast, image);
    if (layout) continue;
    const is = tensor ? `${brief(tensor.name)} is ${tensor.shape.join("×")}` : "there are no more tensors";
    return { network, hasNames, agreed: i, difference: `${is} and ${spec.name} should be ${spec.shape.join("×")}` };
  }
  if (tensors.length > specs.length) {
    const used = new Set(given.slice(0, specs.length));
    const extra = tensors.find((tensor) => !used.has(tensor))!;
    const difference = `${brief(extra.name)} of ${extra.shape.join("×")} is one tensor too many`;
    return { network, hasNames, agreed: specs.length, difference };
  }
  const parameters = specs.map(({ spec, image }, i) => {
    const { name, shape } = spec;
    const layout = layoutOf(given[i]!.shape, shape, channelsLast, image)!;
    return { name, shape, read: async () => layout(await given[i]!.read()) };
  });
  return { network, hasNames, agreed: specs.length, difference: "", match: { network, classes: classes!, parameters } };
}

/** A parameter, and, of a fully connected layer behind images, what goes in. */
interface Place {
  readonly spec: ParameterSpec;
  readonly image?: readonly number[];
}

function specsOf(layers: readonly PlacedLayer[]): Place[] {
  return layers.flatMap(({ layer, parameters, input }) =>
    parameters.map((spec) =>
      layer.kind === "fc" && spec.role === "weight" && input[1] * input[2] > 1 ? { spec, image: input } : { spec },
    ),
  );
}

type Layout = (values: Float32Array) => Float32Array;

/** How numbers of one shape become those of another; undefined when they don't. */
function layoutOf(
  from: readonly number[],
  to: readonly number[],
  channelsLast: boolean,
  image: readonly number[] | undefined,
): Layout | undefined {
  const turns = channelsLast && to.length > 1;
  if (!turns) {
    // Caffe's old nets have sides of 1 in front.
    const sides = from.slice(Math.max(0, from.length - to.length));
    const isSame = sides.join() === to.join() && from.slice(0, -to.length).every((side) => side === 1);
    return isSame ? (values) => values : undefined;
  }
  if (to.length === 4) return isTurned(from, to) ? (values) => permute(values, from, [3, 2, 0, 1]) : undefined;
  if (from.length !== 2 || from[0] !== to[1] || from[1] !== to[0]) return undefined;
  if (!image) return (values) => permute(values, from, [1, 0]);
  // Inputs in the order rows, columns, maps become maps, rows, columns.
  const [maps = 0, rows = 0, columns = 0] = image;
  return (values) => permute(values, [rows, columns, maps, from[1]!], [3, 2, 0, 1]);
}

/** Whether a convolution's filters are rows × columns × inputs × outputs. */
function isTurned(from: readonly number[], to: readonly number[] | undefined): boolean {
  const [o, c, h, w] = to ?? [];
  return from.join() === [h, w, c, o].join() && from.join() !== to?.join();
}

/** Numbers with their axes in another order: axis k of the result is axis `order[k]` of the source. */
function permute(values: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const steps = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, side) => product * side, 1));
  const [sides, jumps] = [order.map((axis) => shape[axis]!), order.map((axis) => steps[axis]!)];
  const result = new Float32Array(values.length);
  const index = sides.map(() => 0);
  for (let i = 0, at = 0; i < result.length; i++) {
    result[i] = values[at]!;
    for (let axis = sides.length - 1; axis >= 0; axis--) {
      at += jumps[axis]!;
      if (++index[axis]! < sides[axis]!) break;
      at -= sides[axis]! * jumps[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
