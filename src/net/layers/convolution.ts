/** Layers with weights: convolutions, locally connected and fully connected layers. */
import { conv2d } from "../../engine/ops/conv2d.ts";
import { linear } from "../../engine/ops/linear.ts";
import { local2d } from "../../engine/ops/local2d.ts";
import { paddingOf, positions, requirePadding, type Padding } from "../../engine/ops/shapes.ts";
import { size as sizeOf } from "../../engine/tensor.ts";
import { ShapeError, UsageError } from "../../errors.ts";
import { checkOptions, requireNumber, requireWhole, show, type OptionKinds } from "../../options.ts";
import type {
  ImageShape,
  LayerInitial,
  OnnxAttributes,
  OnnxGraph,
  ParameterSpec,
  Placement,
  SimpleLayer,
} from "../layer.ts";
import { groupsOfPart, nonDefault, type Kinds, type Made } from "./kinds.ts";

/** How a layer's weights and biases are initialised, and its weight decay. */
export interface Start {
  /**
   * Standard deviation of the weights. "fan-in": weights and biases uniform in ±1/√inputs, as in PyTorch;
   * "kaiming-uniform": weights uniform in ±√(6/inputs), PyTorch's `kaiming_uniform_(weight)`.
   */
  readonly sigma: number | "fan-in" | "kaiming-uniform";
  /** How biases start, 0 if not given; false for a layer without biases. */
  readonly bias?: number | false;
  readonly decay?: number;
}

export interface LocalOptions extends Start {
  readonly stride?: number;
  /** Zeros on each side; "same": as TensorFlow pads, for ⌈side / stride⌉ positions. */
  readonly pad?: Padding;
}

export interface ConvOptions extends Omit<LocalOptions, "sigma"> {
  /**
   * As of any layer. "identity": weights as by "fan-in", but the first filters pass on a map of the input each, as it is
   * (arXiv 1706.00388). "whiten": filters that whiten patches of the input, made of the training images before the first
   * step, and not learnt (src/training/later/whiten.ts).
   */
  readonly sigma: Start["sigma"] | "identity" | "whiten";
  readonly groups?: number;
}

const START: OptionKinds<Start> = { sigma: "any", bias: "any?", decay: "number?" };
const LOCAL: OptionKinds<Omit<ConvOptions, "groups">> = { ...START, stride: "number?", pad: "any?" };
/** Ways to initialise weights, other than by a standard deviation. */
const ANY = ["fan-in", "kaiming-uniform"];
const NAMED = { conv: [...ANY, "identity", "whiten"], local: ANY, fc: ANY };
const CONV: OptionKinds<ConvOptions> = { ...LOCAL, groups: "number?" };

/** A convolution with filters of `size` × `size`. @throws ShapeError or UsageError for invalid sizes or options */
export function conv(name: string, filters: number, size: number, options: ConvOptions): SimpleLayer {
  checkConv("conv", name, filters, size, options);
  return convOf(name, filters, size, options);
}

/** `conv` without the checks: numbers in a part of a layer may be fractions, which `partOf` in parts.ts reports. */
function convOf(name: string, filters: number, size: number, options: ConvOptions): SimpleLayer {
  const { stride = 1, pad = 0, groups = 1 } = options;
  const outputShape = outputOf(filters, size, options);
  return {
    kind: "conv",
    name,
    options: { filters, size, ...options },
    settings: settingsOf(filters, size, options),
    outputShape,
    parameters: ([c]) => weightAndBias(name, [filters, c / groups, size, size], [filters], options),
    multiplyAdds: (input) => sizeOf(outputShape(input)) * (input[0] / groups) * size * size,
    part: (of) => ({
      layer: convOf(name, filters / of, size, { ...options, groups: groupsOfPart(groups, of) }),
      reads: groups % of === 0 ? "own" : "all",
    }),
    fuses: ["fold", "activation"],
    forward(x, [w, b], { fold, activation }) {
      const { scale, shift } = fold?.(b) ?? { shift: b };
      return conv2d(x, w!, shift, { stride, pad, groups, scale, activation });
    },
    toOnnx(graph, x, { parameters, input }) {
      const attributes = { ...windowsInOnnx(input, size, stride, pad), group: groups };
      return graph.add("Conv", [x, ...graph.stored(parameters)], attributes);
    },
  };
}

/** A locally connected layer: a convolution with its own filters at each position. @throws as `conv` */
export function local(name: string, filters: number, size: number, options: LocalOptions): SimpleLayer {
  checkConv("local", name, filters, size, options);
  return localOf(name, filters, size, options);
}

function localOf(name: string, filters: number, size: number, options: LocalOptions): SimpleLayer {
  const { stride = 1, pad = 0 } = options;
  const outputShape = outputOf(filters, size, options);
  return {
    kind: "local",
    name,
    options: { filters, size, ...options },
    settings: settingsOf(filters, size, options),
    outputShape,
    parameters: (input) => {
      const output = outputShape(input);
      return weightAndBias(name, [...output, input[0], size, size], output, options);
    },
    multiplyAdds: (input) => sizeOf(outputShape(input)) * input[0] * size * size,
    part: (of) => ({ layer: localOf(name, filters / of, size, options), reads: "all" }),
    forward: (x, [w, b]) => local2d(x, w!, b!, { stride, pad }),
    toOnnx: (graph, x, placed) => localToOnnx(graph, x, placed, windowsInOnnx(placed.input, size, stride, pad)),
  };
}

/** A fully connected layer with `outputs` units. @throws as `conv` */
export function fc(name: string, outputs: number, options: Start): SimpleLayer {
  checkStart("fc", name, options, START);
  requireWhole(`fc ${name}`, { outputs });
  return fcOf(name, outputs, options);
}

function fcOf(name: string, outputs: number, options: Start): SimpleLayer {
  return {
    kind: "fc",
    name,
    options: { outputs, ...options },
    settings: `${outputs} units${options.bias === false ? ", no biases" : ""}`,
    outputShape: () => [outputs, 1, 1],
    parameters: (input) => weightAndBias(name, [outputs, sizeOf(input)], [outputs], options),
    multiplyAdds: (input) => outputs * sizeOf(input),
    part: (of) => ({ layer: fcOf(name, outputs / of, options), reads: "all" }),
    forward: (x, [w, b]) => linear(x, w!, b),
    toOnnx: (graph, x, { parameters }) =>
      graph.add("Gemm", [graph.flat(x), ...graph.stored(parameters)], { transB: 1 }),
  };
}

/** ONNX's attributes of a convolution: pads are those above, on the left, below, on the right. */
function windowsInOnnx([, h, w]: ImageShape, size: number, stride: number, pad: Padding): OnnxAttributes {
  const [[above, below], [left, right]] = [paddingOf(h, size, stride, pad), paddingOf(w, size, stride, pad)];
  return { strides: [stride, stride], pads: [above, left, below, right] };
}

/**
 * A convolution with one-hot filters copies each patch into maps. A batched product then applies each position's own
 * weights: positions × outputs × patch by positions × patch × N.
 */
function localToOnnx(
  graph: OnnxGraph,
  x: string,
  { parameters: [weights, biases], input: [c], output: [o, h, w] }: Placement,
  windows: OnnxAttributes,
): string {
  const [kh, kw] = weights!.shape.slice(4) as [number, number];
  const patch = c * kh * kw;
  const pick = new Float32Array(patch * patch);
  for (let i = 0; i < patch; i++) pick[i * patch + i] = 1;
  const values = graph.numbers(weights!);
  const turned = new Float32Array(values.length);
  for (let row = 0; row < o * h * w; row++) {
    const to = ((row % (h * w)) * o + Math.floor(row / (h * w))) * patch;
    turned.set(values.subarray(row * patch, (row + 1) * patch), to);
  }
  const picking = graph.constant({ name: `patches${patch}` }, [patch, c, kh, kw], pick);
  const matrices = graph.constant(weights!, [h, w, o, patch], turned);
  const sums = graph.constant(biases!, [1, o, h, w], graph.numbers(biases!));
  const patches = graph.add("Conv", [x, picking], windows);
  const products = graph.add("MatMul", [matrices, graph.add("Transpose", [patches], { perm: [2, 3, 1, 0] })]);
  return graph.add("Add", [graph.add("Transpose", [products], { perm: [3, 2, 0, 1] }), sums]);
}

export const convolutionKinds: Kinds = {
  conv: ({ name, filters, size, ...options }: Made<ConvOptions, "filters" | "size">) =>
    conv(name, filters, size, options),
  local: ({ name, filters, size, ...options }: Made<LocalOptions, "filters" | "size">) =>
    local(name, filters, size, options),
  fc: ({ name, outputs, ...options }: Made<Start, "outputs">) => fc(name, outputs, options),
};

function outputOf(filters: number, size: number, { stride = 1, pad = 0 }: Pick<LocalOptions, "stride" | "pad">) {
  return ([, h, w]: ImageShape): ImageShape => [
    filters,
    positions(h, size, stride, pad, "down"),
    positions(w, size, stride, pad, "down"),
  ];
}

function settingsOf(filters: number, size: number, { stride = 1, pad = 0, groups = 1, bias }: ConvOptions): string {
  const others = nonDefault({ stride: [stride, 1], pad: [pad, 0], groups: [groups, 1] });
  return `${filters} of ${size}×${size}${others}${bias === false ? ", no biases" : ""}`;
}

/** @throws ShapeError or UsageError */
function checkConv(kind: "conv" | "local", name: string, filters: number, size: number, options: ConvOptions): void {
  if (kind === "conv") checkStart(kind, name, options, CONV);
  else checkStart(kind, name, options, LOCAL);
  const where = `${kind} ${name}`;
  const { stride = 1, pad = 0, groups = 1 } = options;
  requireWhole(where, { filters, size, stride, groups });
  requirePadding(where, pad);
  if (kind === "local" && options.bias === false)
    throw new UsageError(`${where}: bias is false: a local layer has biases`);
  if (options.sigma === "whiten" && groups > 1)
    throw new ShapeError(`${where}: filters in ${groups} groups can't whiten`);
  if (filters % groups !== 0) throw new ShapeError(`${where}: ${filters} filters don't divide into ${groups} groups`);
}

function checkStart<T extends Omit<ConvOptions, "groups">>(
  kind: keyof typeof NAMED,
  name: string,
  options: T,
  kinds: OptionKinds<T>,
): void {
  if (typeof name !== "string" || name === "")
    throw new ShapeError(`${kind}: the name is ${show(name)}, must be a string that is not empty`);
  const where = `${kind} ${name}`;
  checkOptions(where, options, kinds);
  const { sigma, bias = 0, decay = 0 } = options;
  if (!NAMED[kind].includes(sigma as string)) requireNumber(where, { sigma }, 0);
  if (bias !== false) requireNumber(where, { bias });
  requireNumber(where, { decay }, 0);
}

function weightAndBias(
  name: string,
  weight: readonly number[],
  bias: readonly number[],
  { sigma, bias: constant = 0, decay }: Pick<ConvOptions, "sigma" | "bias" | "decay">,
): readonly ParameterSpec[] {
  // Fan-in, the inputs of one output, is the number of weights divided by the number of outputs.
  const bound = 1 / Math.sqrt(sizeOf(weight) / sizeOf(bias));
  const ofWeight: LayerInitial =
    typeof sigma === "number"
      ? { normal: sigma }
      : {
          uniform: sigma === "kaiming-uniform" ? Math.sqrt(6) * bound : bound,
          ...(sigma === "identity" && { identity: true }),
        };
  const ofBias: LayerInitial = sigma === "fan-in" ? { uniform: bound } : { constant: Number(constant) };
  const weights: ParameterSpec = {
    ...{ name: `${name}.weight`, shape: weight, initial: ofWeight, role: "weight" },
    ...(decay !== undefined && { decay }),
    ...(sigma === "whiten" && { whitens: true }),
  };
  if (constant === false) return [weights];
  return [weights, { name: `${name}.bias`, shape: bias, initial: ofBias, role: "bias" }];
}
