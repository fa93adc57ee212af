/**
 * What a network is made of. A layer knows its output shape, its parameters, its multiply-adds, how to compute itself
 * from ops, how it is divided among devices, and what it is in ONNX. A block is a layer made of layers. The layers
 * themselves are in layers/.
 */
import type { Initial } from "../engine/later/initial.ts";
import type { Activation } from "../engine/ops/later/epilogue.ts";
import type { PoolOptions } from "../engine/ops/pool.ts";
import type { Parameter } from "../engine/parameter.ts";
import type { Owner, Tensor } from "../engine/tensor.ts";

/** Channels, height and width of one image; height and width are 1 after a fully connected layer. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** How a parameter is initialised. */
export type LayerInitial =
  | Initial
  /** Of a convolution: the first filters pass on a map each, with a 1 at the centre of it and zeros elsewhere. */
  | { readonly uniform: number; readonly identity: true };

export interface ParameterSpec {
  /** PyTorch's name. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: LayerInitial;
  /** A scale is the factor of a normalisation, whose shift is a bias. */
  readonly role: "weight" | "bias" | "scale";
  /** Weight decay, if it differs from the network's. */
  readonly decay?: number;
  /** Filters that whiten the layer's input: made of the training images before the first step, and not learnt. */
  readonly whitens?: true;
}

/** What a layer saves and restores with its parameters but does not learn by gradient, such as running means. */
export interface StateSpec {
  /** PyTorch's name. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: number;
}

/** What differs from one pass through a network to the next. */
export interface Pass {
  readonly training: boolean;
  /** The key for the random numbers that the `layer`-th random layer draws in this step. */
  dropoutKey(layer: number): readonly [number, number];
}

/** What a layer is told about a pass. */
export interface LayerCall {
  readonly training: boolean;
  /** The key for this layer's random numbers in this step. */
  readonly key: readonly [number, number];
  /** In the order of `state`'s specs. */
  readonly state: readonly Tensor[];
  /** What it is to compute for layers after it, of those it `fuses`. */
  readonly activation?: Activation | undefined;
  readonly fold?: Fold | undefined;
  readonly maxPool?: PoolOptions | undefined;
}

/** A convolution's factors and biases that normalise its result, by its own biases. */
export type Fold = (b: Tensor | undefined) => { readonly scale: Tensor; readonly shift: Tensor };

export interface Common {
  /** The name of the function in layers/ that made it, with hyphens. */
  readonly kind: string;
  /** The prefix of its parameters' names; "" if it has none. */
  readonly name: string;
  /** The options it was made with, as in JSON: a layer is written and read back by its kind, name and options. */
  readonly options: LayerOptions;
  /** The options, for people. */
  readonly settings: string;
  /** What it can compute for the layers after it, with its own result and in the same pass over memory. */
  readonly fuses?: readonly ("fold" | "activation" | "max-pool")[];
}

export type LayerOptions = Readonly<Record<string, string | number | boolean | undefined>>;

/** A layer that computes something itself. Defaults: the input's shape, no parameters or state, no multiply-adds. */
export interface SimpleLayer extends Common {
  outputShape?(input: ImageShape): ImageShape;
  parameters?(input: ImageShape): readonly ParameterSpec[];
  state?(input: ImageShape): readonly StateSpec[];
  /** Multiply-adds in the matrix products of a forward pass on one image. */
  multiplyAdds?(input: ImageShape): number;
  /** Whether it belongs to the layer before it: a tap of that layer is taken after this one. */
  readonly isActivation?: boolean;
  /** The activation function, if other ops can apply it to their results. */
  readonly activation?: Activation;
  /** The windows of max-pooling, likewise. */
  readonly maxPool?: PoolOptions;
  /** Whether it draws random numbers in training. */
  readonly isRandom?: boolean;
  /** What one of `of` devices computes of it; absent if it is the same layer on fewer maps. */
  part?(of: number): LayerPart;
  forward(x: Tensor, parameters: readonly Parameter[], pass: LayerCall): Tensor;
  /** In use, what makes the convolution before it compute this layer too. @param tape owns the results */
  fold?(tape: Owner, stored: Readonly<Record<"parameters" | "state", readonly Tensor[]>>): Fold;
  /** @returns the name of its output */
  toOnnx(graph: OnnxGraph, x: string, placed: Placement): string;
}

/** A layer made of layers: each branch takes the block's input, and their outputs are merged. */
export interface Block extends Common {
  /** By their names in JSON. An empty branch passes its input on. */
  readonly branches: Readonly<Record<string, readonly Layer[]>>;
  /** @throws ShapeError if outputs of these shapes can't be merged */
  outputShape(outputs: readonly ImageShape[]): ImageShape;
  merge(outputs: readonly Tensor[], activation?: Activation): Tensor;
  toOnnx(graph: OnnxGraph, outputs: readonly string[]): string;
}

export type Layer = SimpleLayer | Block;

/** Layers in order; nested arrays keep together what belongs on one line. */
export type Rows = readonly (Layer | Rows)[];

export function flatten(rows: Rows): readonly Layer[] {
  return (rows as readonly Layer[]).flat(Infinity) as Layer[];
}

/** One device's part of a layer whose outputs or maps are divided equally among several. */
export interface LayerPart {
  readonly layer: SimpleLayer;
  /** Which maps or features it reads: those of all devices, or only the device's own. */
  readonly reads: "all" | "own";
}

/** A layer's shapes, parameters and state, as they follow from the shape of its input. */
export interface Placement {
  readonly input: ImageShape;
  readonly output: ImageShape;
  readonly parameters: readonly ParameterSpec[];
  readonly state: readonly StateSpec[];
}

/** Integers, lists of integers, or { float }. */
export type OnnxAttributes = Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** An ONNX graph under construction. Values are referred to by name. */
export interface OnnxGraph {
  /** Adds a node. @returns the name of its output */
  add(op: string, inputs: readonly string[], attributes?: OnnxAttributes): string;
  /** Adds a node with several outputs. */
  addSplit(op: string, inputs: readonly string[], outputs: number, attributes?: OnnxAttributes): readonly string[];
  /** Adds a constant, either called `name` or given a new name that begins with `prefix`. */
  constant(
    of: { readonly name: string } | { readonly prefix: string },
    shape: readonly number[],
    data: OnnxData,
  ): string;
  /** Adds parameters or state as constants of the same names. */
  stored(specs: readonly NamedShape[]): readonly string[];
  /** The values of a parameter or state. */
  numbers(spec: NamedShape): Float32Array;
  /** Flattens N × C × H × W to N × features, unless it is flat already. */
  flat(x: string): string;
}

export type OnnxData = Float32Array | BigInt64Array;
