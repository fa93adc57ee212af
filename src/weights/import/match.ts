/**
 * Which network a file's tensors belong to: the one whose names and shapes they have, or else whose shapes, in the order
 * of the file. The last layer may have any number of classes. Two orders of axes occur: outputs first, as PyTorch, Caffe
 * and this program have them, and TensorFlow's, channels last, with inputs before outputs.
 */
import { CheckpointError, UsageError } from "../../errors.ts";
import { brief, damaged } from "../../io/foreign.ts";
import { flatten, type LayerOptions, type ParameterSpec } from "../../net/layer.ts";
import { leaves, place, type PlacedLayer } from "../../net/model.ts";
import { networks } from "../../net/networks.ts";
import type { Network } from "../../net/recipe.ts";
import { byNames, candidatesOf, type Candidate } from "./candidates.ts";
import { anObject } from "./dictionary.ts";
import type { WeightFile } from "./source.ts";

export interface Match {
  readonly network: Network;
  readonly classes: number;
  /** In the order of the network's parameters, each in its shape and order of axes. */
  readonly parameters: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    read(): Promise<Float32Array>;
  }[];
  /** Where in the file they are: "state_dict", say; "" where the file is nothing else. */
  readonly place: string;
  /** Where others are that would have fitted too, such as averages over the training. */
  readonly others: readonly string[];
  /** The names of tensors beside them that are none of the network's. */
  readonly beside: readonly string[];
}

/**
 * @param wanted the network, where a person or the file says it
 * @throws CheckpointError when no tensors fit any network, or the one that is wanted
 * @throws UsageError when they fit several
 */
export function matchNetwork(file: WeightFile, wanted?: Network): Match {
  const among = wanted === undefined ? networks : [wanted];
  const tries = candidatesOf(file).map((candidate) => among.map((network) => fit(network, candidate)));
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
      `its weights have the shapes of ${names}, but it has ${brief(said)}, and none of them has`,
    );
  }
  if (fits.length > 1) {
    const names = fits.map(({ network }) => network.name);
    throw new UsageError(
      `${file.path} fits ${names.slice(0, -1).join(", ")} and ${names.at(-1)}, which have the same shapes: ` +
        `say with --model which of them it is`,
    );
  }
  const { network, match } = fits[0]!;
  const others = rest.flat().filter((other) => other.network === network);
  return { ...match!, others: others.map(({ match }) => match!.place) };
}

function noMatch({ object }: WeightFile, tries: readonly Attempt[], wanted: string | undefined): string {
  if (object !== undefined) return anObject(object);
  const isNearer = (a: Attempt, b: Attempt) => a.agreed > b.agreed || (a.agreed === b.agreed && a.tensors > b.tensors);
  const nearest = tries.reduce((best, attempt) => (isNearer(attempt, best) ? attempt : best));
  const where = nearest.place === "" ? "" : ` in ${brief(nearest.place)}`;
  const whom = wanted === undefined ? "no network of this program" : `not ${wanted}`;
  const near = wanted === undefined ? `; nearest is ${nearest.network.name}, where ` : ": ";
  return `its tensors${where} fit ${whom}${near}${nearest.difference}`;
}

/** Whether a network normalises and pools as a file says, if it says so. Caffe divides α by n. */
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
  /** How many there are. */
  readonly tensors: number;
  readonly match?: Omit<Match, "others">;
  readonly hasNames: boolean;
  /** How many parameters agreed before one did not, and how that one differs. */
  readonly agreed: number;
  readonly difference: string;
}

function fit(network: Network, { place: at, tensors, beside }: Candidate): Attempt {
  const usual = specsOf(place(network));
  const named = byNames(
    usual.map(({ spec }) => spec.name),
    tensors,
  );
  const given = named ?? tensors;
  const common = { network, place: at, tensors: tensors.length, hasNames: named !== undefined };
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
    return { ...common, agreed: i, difference: `${is} and ${spec.name} should be ${spec.shape.join("×")}` };
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
    return { name, shape, read: async () => layout(await given[i]!.read()) };
  });
  const match = { network, classes: classes!, parameters, place: at, beside };
  return { ...common, agreed: specs.length, difference: "", match };
}

/** A parameter, and, of a fully connected layer behind images, what goes in. */
interface Place {
  readonly spec: ParameterSpec;
  readonly image?: readonly number[];
}

function specsOf(layers: readonly PlacedLayer[]): Place[] {
  return leaves(layers).flatMap(({ layer, parameters, input }) =>
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
