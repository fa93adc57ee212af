/**
 * What a network is made of. A layer knows the shape it makes of its input, the parameters it needs, how many
 * multiply-adds that takes, and how to compute itself from ops; a network is a list of them (networks.ts).
 */
import { relu as reluOp, tanh as tanhOp } from "../engine/ops/activation.ts";
import { conv2d, type Conv2dOptions } from "../engine/ops/conv2d.ts";
import { checkKeep, dropout as dropoutOp } from "../engine/ops/dropout.ts";
import { linear } from "../engine/ops/linear.ts";
import { local2d } from "../engine/ops/local2d.ts";
import { checkLrn, lrn as lrnOp, type LrnOptions } from "../engine/ops/lrn.ts";
import { checkMapNorm, mapNorm as mapNormOp, type MapNormOptions } from "../engine/ops/map_norm.ts";
import { averagePool as averagePoolOp, checkPool, maxPool as maxPoolOp, type PoolOptions } from "../engine/ops/pool.ts";
import { positions } from "../engine/ops/shapes.ts";
import type { Parameter } from "../engine/parameter.ts";
import { size as sizeOf, type Tensor } from "../engine/tensor.ts";
import { ShapeError } from "../errors.ts";
import { checkOptions, requireNumber, requireWhole, show, type OptionKinds } from "../options.ts";

/** Channels, height and width of one image; height and width are 1 behind a fully connected layer. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** How a parameter starts. */
export type Initial =
  | { readonly normal: number } // standard deviation
  | { readonly uniform: number } // between plus and minus this
  | { readonly constant: number };

export interface ParameterSpec {
  /** PyTorch's name. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: Initial;
  readonly role: "weight" | "bias";
  /** Weight decay where it differs from the network's. */
  readonly decay?: number;
}

/** What the same layer does differently from one pass to the next. */
export interface Pass {
  readonly training: boolean;
  /** Key of the dropout mask of the `layer`-th dropout layer in this step. */
  dropoutKey(layer: number): readonly [number, number];
}

export interface Layer {
  readonly kind: string;
  /** Name of its parameters, "" where it has none. */
  readonly name: string;
  /** Its settings, for people. */
  readonly settings: string;
  outputShape(input: ImageShape): ImageShape;
  parameters(input: ImageShape): readonly ParameterSpec[];
  /** How many more tensors of its output's size the forward pass keeps for the backward pass. */
  readonly kept: number;
  /** Multiply-adds of the products of a forward pass on one image. */
  multiplyAdds(input: ImageShape): number;
  /** What its op is told: a convolution, a local layer, a pooling or a normalising one. */
  readonly windows?: Required<Conv2dOptions>;
  readonly local?: { readonly stride: number; readonly pad: number };
  readonly pool?: Required<PoolOptions>;
  readonly lrn?: Required<LrnOptions>;
  readonly mapNorm?: MapNormOptions;
  /**
   * What one of `of` devices computes of it, where each has an equal part of its outputs, or of its maps: the layer itself
   * if absent. A convolution of one group needs all the maps of its input for that, one of several its own.
   */
  readonly part?: (of: number) => Layer;
  forward(x: Tensor, parameters: readonly Parameter[], pass: Pass): Tensor;
}

/** How the weights and biases of a layer start, and their decay. */
export interface Start {
  /** Standard deviation of the weights; "fan-in": uniform in ±1/√inputs, weights and biases alike, as PyTorch does. */
  readonly sigma: number | "fan-in";
  readonly bias?: number;
  readonly decay?: number;
}

export interface LocalOptions extends Start {
  readonly stride?: number;
  readonly pad?: number;
}

export interface ConvOptions extends LocalOptions {
  readonly groups?: number;
}

const START: OptionKinds<Start> = { sigma: "any", bias: "number?", decay: "number?" };
const LOCAL: OptionKinds<LocalOptions> = { ...START, stride: "number?", pad: "number?" };
const CONV: OptionKinds<ConvOptions> = { ...LOCAL, groups: "number?" };

/** `filters` filters of `size` × `size`. @throws ShapeError or UsageError for sizes and options that make no sense */
export function conv(name: string, filters: number, size: number, options: ConvOptions): Layer {
  checkConv("conv", name, filters, size, options);
  return convOf(name, filters, size, options);
}

/** Without the checks: parts of a layer need not come out even, and whoever cuts says so. */
function convOf(name: string, filters: number, size: number, options: ConvOptions): Layer {
  const { stride = 1, pad = 0, groups = 1 } = options;
  const outputShape = ([, h, w]: ImageShape): ImageShape => [
    filters,
    positions(h, size, stride, pad, "down"),
    positions(w, size, stride, pad, "down"),
  ];
  return {
    kind: "conv",
    name,
    settings: `${filters} of ${size}×${size}${list({ stride: [stride, 1], pad: [pad, 0], groups: [groups, 1] })}`,
    outputShape,
    parameters: ([c]) => weightAndBias(name, [filters, c / groups, size, size], [filters], options),
    kept: 0,
    multiplyAdds: (input) => sizeOf(outputShape(input)) * (input[0] / groups) * size * size,
    windows: { stride, pad, groups },
    part: (of) => convOf(name, filters / of, size, { ...options, groups: groupsOfPart(groups, of) }),
    forward: (x, [w, b]) => conv2d(x, w!, b!, { stride, pad, groups }),
  };
}

/** A convolution whose filters differ from position to position. @throws as `conv` */
export function local(name: string, filters: number, size: number, options: LocalOptions): Layer {
  checkConv("local", name, filters, size, options);
  return localOf(name, filters, size, options);
}

function localOf(name: string, filters: number, size: number, options: LocalOptions): Layer {
  const { stride = 1, pad = 0 } = options;
  const { outputShape, multiplyAdds, settings } = convOf(name, filters, size, { ...options, groups: 1 });
  return {
    kind: "local",
    name,
    settings,
    outputShape,
    parameters: (input) => {
      const output = outputShape(input);
      return weightAndBias(name, [...output, input[0], size, size], output, options);
    },
    kept: 0,
    multiplyAdds,
    local: { stride, pad },
    part: (of) => localOf(name, filters / of, size, options),
    forward: (x, [w, b]) => local2d(x, w!, b!, { stride, pad }),
  };
}

/** A fully connected layer with `outputs` units. @throws as `conv` */
export function fc(name: string, outputs: number, options: Start): Layer {
  checkStart("fc", name, options, START);
  requireWhole(`fc ${name}`, { outputs });
  return fcOf(name, outputs, options);
}

function fcOf(name: string, outputs: number, options: Start): Layer {
  return {
    kind: "fc",
    name,
    settings: `${outputs} units`,
    outputShape: () => [outputs, 1, 1],
    parameters: (input) => weightAndBias(name, [outputs, sizeOf(input)], [outputs], options),
    kept: 0,
    multiplyAdds: (input) => outputs * sizeOf(input),
    part: (of) => fcOf(name, outputs / of, options),
    forward: (x, [w, b]) => linear(x, w!, b!),
  };
}

export interface PoolSettings {
  /** How the output size is rounded: up as cuda-convnet does, unless said. */
  readonly round?: "up" | "down";
}

/** @throws as `conv` */
export function maxPool(window: number, stride: number, settings: PoolSettings = {}): Layer {
  return { ...pool("max-pool", window, stride, settings, maxPoolOp), kept: 1 };
}

/** @throws as `conv` */
export function averagePool(window: number, stride: number, settings: PoolSettings = {}): Layer {
  return pool("average-pool", window, stride, settings, averagePoolOp);
}

function pool(kind: string, window: number, stride: number, settings: PoolSettings, op: typeof maxPoolOp): Layer {
  checkPool(kind, { window, stride, ...settings });
  const round = settings.round ?? "up";
  return {
    ...withoutParameters(kind, `${window}×${window}, stride ${stride}`, (x) => op(x, { window, stride, round })),
    outputShape: ([c, h, w]) => [c, positions(h, window, stride, 0, round), positions(w, window, stride, 0, round)],
    pool: { window, stride, round },
  };
}

/** Response normalisation across maps, paper §3.3. @throws as `conv` */
export function lrn(options: LrnOptions): Layer {
  checkLrn("lrn", options);
  return lrnOf(options);
}

function lrnOf(options: LrnOptions): Layer {
  const { n, k, alpha, beta, groups = 1 } = options;
  const settings = `across ${n} maps, k ${k}, α ${alpha}, β ${beta}${list({ groups: [groups, 1] })}`;
  return {
    ...withoutParameters("lrn", settings, (x) => lrnOp(x, options)),
    kept: 1,
    lrn: { groups: 1, ...options },
    // Each device normalises its own maps, as in 2012.
    part: (of) => lrnOf({ ...options, groups: groupsOfPart(groups, of) }),
  };
}

/** Everything divided by one number, which brings pixels of ±128 to the size that weights are drawn for. @throws as `conv` */
export function divide(by: number): Layer {
  // Response normalisation across one map with α 0 leaves x / k^β.
  return { ...lrn({ n: 1, k: by, alpha: 0, beta: 1 }), settings: `by ${by}` };
}

/** Response normalisation inside each map. @throws as `conv` */
export function mapNorm(options: MapNormOptions): Layer {
  checkMapNorm("mapNorm", options);
  const { size, k, alpha, beta } = options;
  const settings = `${size}×${size} inside a map, k ${k}, α ${Number(alpha.toPrecision(3))}, β ${beta}`;
  return { ...withoutParameters("map-norm", settings, (x) => mapNormOp(x, options)), kept: 1, mapNorm: options };
}

export function relu(): Layer {
  return withoutParameters("relu", "", reluOp);
}

export function tanh(): Layer {
  return withoutParameters("tanh", "", tanhOp);
}

/** Dropout in training, nothing otherwise. `index` tells the network's dropout layers apart. @throws as `conv` */
export function dropout(index: number, keep = 0.5): Layer {
  requireWhole("dropout", { index }, 0);
  checkKeep("dropout", keep);
  return withoutParameters("dropout", `keep ${keep}`, (x, _, pass) =>
    pass.training ? dropoutOp(x, { keep, key: pass.dropoutKey(index) }) : x,
  );
}

function withoutParameters(kind: string, settings: string, forward: Layer["forward"]): Layer {
  return {
    kind,
    name: "",
    settings,
    outputShape: (input) => input,
    parameters: () => [],
    kept: 0,
    multiplyAdds: () => 0,
    forward,
  };
}

/** @throws ShapeError or UsageError */
function checkConv(kind: "conv" | "local", name: string, filters: number, size: number, options: ConvOptions): void {
  if (kind === "conv") checkStart(kind, name, options, CONV);
  else checkStart<LocalOptions>(kind, name, options, LOCAL);
  const where = `${kind} ${name}`;
  const { stride = 1, pad = 0, groups = 1 } = options;
  requireWhole(where, { filters, size, stride, groups });
  requireWhole(where, { pad }, 0);
  if (filters % groups !== 0) throw new ShapeError(`${where}: ${filters} filters don't divide into ${groups} groups`);
}

function checkStart<T extends Start>(kind: string, name: string, options: T, kinds: OptionKinds<T>): void {
  if (typeof name !== "string" || name === "")
    throw new ShapeError(`${kind}: the name is ${show(name)}, must be a text`);
  const where = `${kind} ${name}`;
  checkOptions(where, options, kinds);
  const { sigma, bias = 0, decay = 0 } = options;
  if (sigma !== "fan-in") requireNumber(where, { sigma }, 0);
  requireNumber(where, { bias });
  requireNumber(where, { decay }, 0);
}

function weightAndBias(
  name: string,
  weight: readonly number[],
  bias: readonly number[],
  { sigma, bias: constant = 0, decay }: Start,
): readonly ParameterSpec[] {
  // The inputs of one output: what remains of the weights' shape without the outputs'.
  const bound = 1 / Math.sqrt(sizeOf(weight) / sizeOf(bias));
  const [ofWeight, ofBias]: [Initial, Initial] =
    sigma === "fan-in" ? [{ uniform: bound }, { uniform: bound }] : [{ normal: sigma }, { constant }];
  const common = decay === undefined ? {} : { decay };
  return [
    { name: `${name}.weight`, shape: weight, initial: ofWeight, role: "weight", ...common },
    { name: `${name}.bias`, shape: bias, initial: ofBias, role: "bias" },
  ];
}

/** Of groups that are shared out evenly, each device has its own; what is not divided stays so. */
function groupsOfPart(groups: number, of: number): number {
  return groups % of === 0 ? groups / of : 1;
}

/** The settings that differ from what is usual: ", stride 4". */
function list(settings: Readonly<Record<string, readonly [value: number, usual: number]>>): string {
  return Object.entries(settings)
    .filter(([, [value, usual]]) => value !== usual)
    .map(([name, [value]]) => `, ${name} ${value}`)
    .join("");
}
