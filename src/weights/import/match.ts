/**
 * Which network a file's tensors belong to: one with the same names and shapes or, failing that, with the same shapes
 * in the file's order. The last layer may have any number of classes. Axes have one of two orders: outputs first, as in
 * PyTorch, Caffe and this program, or TensorFlow's, channels last with inputs before outputs.
 */
import { size } from "../../engine/tensor.ts";
import { CheckpointError, UsageError } from "../../errors.ts";
import { brief, damaged } from "../../io/foreign.ts";
import { isSame } from "../../net/definition.ts";
import { flatten, type LayerOptions, type NamedShape } from "../../net/layer.ts";
import { leaves, place, type PlacedLayer } from "../../net/model.ts";
import { networks } from "../../net/networks.ts";
import type { Network } from "../../net/recipe.ts";
import { option } from "../../option_names.ts";
import type { TensorSource } from "../safetensors.ts";
import { unlearntScales } from "../scales.ts";
import { byNames, candidatesOf, type Candidate } from "./candidates.ts";
import { anObject } from "./dictionary.ts";
import { gather } from "./numbers.ts";
import type { WeightFile } from "./weight_file.ts";

export interface Match {
  readonly network: Network;
  readonly classes: number;
  /** The network's parameters and state in its order, with its shapes and order of axes. */
  readonly parameters: readonly TensorSource[];
  /** Where in the file they are, such as "state_dict"; "" if they are all of it. */
  readonly place: string;
  /** Where others are that would fit too, such as averages over the training. */
  readonly others: readonly string[];
  /** Names of other tensors, which are not the network's. */
  readonly beside: readonly string[];
}

/**
 * @param wanted the network, if the user or the file names it
 * @throws CheckpointError when no tensors fit it, or any network if none is named
 * @throws UsageError when they fit several networks
 */
export function matchNetwork(file: WeightFile, wanted?: Network): Match {
  const among = wanted === undefined ? networks : [wanted];
  const tries = candidatesOf(file).map((candidate) => among.map((network) => fit(network, candidate, file.path)));
  const byOrder = tries.map((attempts) => attempts.filter(({ match }) => match)).filter(({ length }) => length > 0);
  const byName = byOrder
    .map((attempts) => attempts.filter(({ hasNames }) => hasNames))
    .filter(({ length }) => length > 0);
  const [first, ...rest] = byName.length > 0 ? byName : byOrder;
  if (!first) throw new CheckpointError(damaged(file.path, noMatch(file, tries.flat(), wanted?.name)).message);
  const fits = first.filter(({ network }) => hasLayers(network, file));
  if (fits.length === 0) {
    const said = file.layers!.map(({ name, lrn }) => (lrn ? `${name} (${lrnText(lrn)})` : name)).join(", ");
    const names = first.map(({ network }) => network.name).join(", ");
    throw damaged(
      file.path,
      `its weights have the shapes of ${names}, but it has ${brief(said)}, which those networks don't`,
    );
  }
  const { network, match } = fits[0]!;
  // Networks that differ in their recipes alone don't matter here.
  const different = fits.slice(1).filter((other) => !isSame(other.network, network));
  if (different.length > 0) {
    const names = [network, ...different.map((other) => other.network)].map(({ name }) => name);
    throw new UsageError(
      `${file.path} fits ${names.slice(0, -1).join(", ")} and ${names.at(-1)}, which have the same shapes: ` +
        `choose one with ${option("model")}`,
    );
  }
  const others = rest.flat().filter((other) => other.network === network);
  return { ...match!, others: others.map(({ match }) => match!.place) };
}

function noMatch({ object }: WeightFile, tries: readonly Attempt[], wanted: string | undefined): string {
  if (object !== undefined) return anObject(object);
  const isNearer = (a: Attempt, b: Attempt) => a.agreed > b.agreed || (a.agreed === b.agreed && a.tensors > b.tensors);
  const nearest = tries.reduce((best, attempt) => (isNearer(attempt, best) ? attempt : best));
  const where = nearest.place === "" ? "" : ` in ${brief(nearest.place)}`;
  const whom = wanted === undefined ? "any network of this program" : wanted;
  const near = wanted === undefined ? `; the nearest is ${nearest.network.name}, where ` : ": ";
  return `its tensors${where} don't fit ${whom}${near}${nearest.difference}`;
}

/** Whether a network normalises and pools as the file says, if it does. Caffe divides α by n. */
function hasLayers(network: Network, { layers = [] }: WeightFile): boolean {
  if (layers.length === 0) return true;
  const ours = flatten(network.layers(2)).filter(({ kind }) => ["lrn", "max-pool", "average-pool"].includes(kind));
  return (
    ours.length === layers.length &&
    layers.every(({ lrn }, i) => {
      const { kind, options: own } = ours[i]!;
      if (!lrn || kind !== "lrn") return !lrn && kind !== "lrn";
      const isNear = (a: number, b: LayerOptions[string]) => Math.abs(a - Number(b)) <= 1e-5 * Math.abs(Number(b));
      const isAlike = isNear(lrn.alpha / lrn.n, own.alpha) && isNear(lrn.beta, own.beta) && isNear(lrn.k, own.k);
      return isAlike && lrn.n === own.n && (own.groups ?? 1) === 1;
    })
  );
}

const lrnText = ({ n, k, alpha, beta }: NonNullable<NonNullable<WeightFile["layers"]>[number]["lrn"]>): string =>
  `n ${n}, k ${k}, α ${Number(alpha.toPrecision(4))}/${n}, β ${beta}`;

interface Attempt {
  readonly network: Network;
  readonly place: string;
  /** Number of tensors. */
  readonly tensors: number;
  readonly match?: Omit<Match, "others">;
  readonly hasNames: boolean;
  /** How many parameters fit before one did not, and how that one differs. */
  readonly agreed: number;
  readonly difference: string;
}

function fit(network: Network, { place: at, tensors: all, beside }: Candidate, path: string): Attempt {
  const placed = place(network);
  const usual = specsOf(placed);
  const scaleNames = unlearntScales(placed);
  const isScale = new Set(scaleNames.values());
  const scales = new Map(all.filter(({ name }) => isScale.has(name)).map((tensor) => [tensor.name, tensor]));
  const tensors = all.filter(({ name }) => !scales.has(name));
  const named = byNames(
    usual.map(({ spec }) => spec.name),
    tensors,
  );
  const given = named ?? tensors;
  const common = { network, place: at, tensors: tensors.length, hasNames: named !== undefined };
  const channelsLast = given.some(({ shape }, i) => shape.length === 4 && isChannelsLast(shape, usual[i]?.spec.shape));
  // Of the last layer's bias or, if it has none, of its weights: the first axis, in TensorFlow's order the last.
  const last = usual.at(-1)?.spec.shape.length ?? 1;
  const classes = given[usual.length - 1]?.shape.at(channelsLast ? -1 : -last);
  const hasClasses = classes !== undefined && classes >= 2;
  const specs = hasClasses ? specsOf(place(network, classes)) : usual;
  for (const [i, { spec, image }] of specs.entries()) {
    const tensor = given[i];
    const layout = tensor && layoutOf(tensor.shape, spec.shape, channelsLast, image);
    if (layout) continue;
    const is = tensor ? `${brief(tensor.name)} is ${tensor.shape.join("×")}` : "there are no more tensors";
    return { ...common, agreed: i, difference: `${is} but ${spec.name} should be ${spec.shape.join("×")}` };
  }
  if (tensors.length > specs.length) {
    const used = new Set(given.slice(0, specs.length));
    const extra = tensors.find((tensor) => !used.has(tensor))!;
    const difference = `${brief(extra.name)} of ${extra.shape.join("×")} is one tensor too many`;
    return { ...common, agreed: specs.length, difference };
  }
  const parameters = specs.map(({ spec, image }, i) => {
    const { name, shape } = spec;
    const layout = layoutOf(given[i]!.shape, shape, channelsLast, image)!;
    const scale = scales.get(scaleNames.get(name) ?? "");
    const read = async () => {
      if (scale && !(await scale.read()).every((value) => value === 1)) {
        throw damaged(path, `${scale.name} isn't 1 throughout, but ${network.name} has no scale there that it learns`);
      }
      return layout(await given[i]!.read());
    };
    return { name, shape, read };
  });
  const match = { network, classes: classes!, parameters, place: at, beside };
  return { ...common, agreed: specs.length, difference: "", match };
}

/** A parameter or state that a tensor must fit; for a fully connected layer after maps, also its input's shape. */
interface Expected {
  readonly spec: NamedShape;
  readonly image?: readonly number[];
}

function specsOf(layers: readonly PlacedLayer[]): Expected[] {
  return leaves(layers).flatMap(({ layer, parameters, state, input }) => [
    ...parameters.map((spec) =>
      layer.kind === "fc" && spec.role === "weight" && input[1] * input[2] > 1 ? { spec, image: input } : { spec },
    ),
    ...state.map((spec) => ({ spec })),
  ]);
}

type Layout = (values: Float32Array) => Float32Array;

/** Converts numbers from one shape to another; undefined if they don't fit. */
function layoutOf(
  from: readonly number[],
  to: readonly number[],
  channelsLast: boolean,
  image: readonly number[] | undefined,
): Layout | undefined {
  const isTransposed = channelsLast && to.length > 1;
  if (!isTransposed) {
    // Caffe's old nets have leading dimensions of 1.
    const sides = from.slice(Math.max(0, from.length - to.length));
    const isSame = sides.join() === to.join() && from.slice(0, -to.length).every((side) => side === 1);
    return isSame ? (values) => values : undefined;
  }
  if (to.length === 4) return isChannelsLast(from, to) ? (values) => permute(values, from, [3, 2, 0, 1]) : undefined;
  if (from.length !== 2 || from[0] !== to[1] || from[1] !== to[0]) return undefined;
  if (!image) return (values) => permute(values, from, [1, 0]);
  // The inputs' order changes from rows, columns, maps to maps, rows, columns.
  const [maps = 0, rows = 0, columns = 0] = image;
  return (values) => permute(values, [rows, columns, maps, from[1]!], [3, 2, 0, 1]);
}

/** Whether `from` are a convolution's filters as rows × columns × inputs × outputs. */
function isChannelsLast(from: readonly number[], to: readonly number[] | undefined): boolean {
  const [o, c, h, w] = to ?? [];
  return from.join() === [h, w, c, o].join() && from.join() !== to?.join();
}

/** Transposes: axis k of the result is axis `order[k]` of `values`. */
function permute(values: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => size(shape.slice(axis + 1)));
  const pick = (from: readonly number[]) => order.map((axis) => from[axis]!);
  return gather(values, pick(shape), pick(strides));
}
