/**
 * What a network is made of. A layer knows the shape it makes of its input, the parameters it needs, how many
 * multiply-adds that takes, how to compute itself from ops, what a part of it is, and what it is in ONNX. A block is a
 * layer made of layers. The layers that there are lie in layers/.
 */
import type { Parameter } from "../engine/parameter.ts";
import type { Tensor } from "../engine/tensor.ts";

/** Channels, height and width of one image; height and width are 1 after a fully connected layer. */
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

/** What is saved and restored with a layer's parameters but not learnt by gradient, such as running means. */
export interface StateSpec {
  /** PyTorch's name. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: number;
}

/** What differs from one pass through a network to the next. */
export interface Pass {
  readonly training: boolean;
  /** The key of the random numbers that the `layer`-th of the random layers draws in this step. */
  dropoutKey(layer: number): Key;
}

export type Key = readonly [number, number];

/** What a layer gets to know of a pass. */
export interface LayerCall {
  readonly training: boolean;
  /** The key of this layer's random numbers in this step. */
  readonly key: Key;
  /** In the order of `state`'s specs. */
  readonly state: readonly Tensor[];
}

interface Common {
  /** The name of the function in layers/ that made it, with hyphens. */
  readonly kind: string;
  /** Prefix of its parameters' names; "" where it has none. */
  readonly name: string;
  /** What it was made with, as JSON has it; a layer is written and read back by this, its kind and its name. */
  readonly options: LayerOptions;
  /** The same, for people. */
  readonly settings: string;
}

export type LayerOptions = Readonly<Record<string, string | number | undefined>>;

/** A layer that computes something itself. What is optional is by default: none, zero, or the shape of the input. */
export interface SimpleLayer extends Common {
  outputShape?(input: ImageShape): ImageShape;
  parameters?(input: ImageShape): readonly ParameterSpec[];
  state?(input: ImageShape): readonly StateSpec[];
  /** Multiply-adds of the products of a forward pass on one image. */
  multiplyAdds?(input: ImageShape): number;
  /** Whether it belongs to the layer before it: taps of that layer are taken after it. */
  readonly isActivation?: boolean;
  /** Whether it draws random numbers in training. */
  readonly isRandom?: boolean;
  /** What one of `of` devices computes of it; absent where that is the same for a part of the maps as for all. */
  part?(of: number): LayerPart;
  forward(x: Tensor, parameters: readonly Parameter[], pass: LayerCall): Tensor;
  /** @returns the name of its output */
  toOnnx(graph: OnnxGraph, x: string, placed: Placement): string;
}

/** A layer made of layers: each branch takes the block's input, and what comes out of them is merged. */
export interface Block extends Common {
  /** By name, as JSON has them. An empty branch passes its input on. */
  readonly branches: Readonly<Record<string, readonly Layer[]>>;
  /** @throws ShapeError when such outputs can't be merged */
  outputShape(outputs: readonly ImageShape[]): ImageShape;
  merge(outputs: readonly Tensor[]): Tensor;
  toOnnx(graph: OnnxGraph, outputs: readonly string[]): string;
}

export type Layer = SimpleLayer | Block;

/** Layers, one after the other; rows of them can be kept together in arrays. */
export type Rows = readonly (Layer | Rows)[];

export function flatten(rows: Rows): readonly Layer[] {
  return (rows as readonly Layer[]).flat(Infinity) as Layer[];
}

/** Part of a layer, where each of several devices has an equal part of its outputs, or of its maps. */
export interface LayerPart {
  readonly layer: SimpleLayer;
  /** Which maps or features it reads: all devices', or only those that the device has itself. */
  readonly reads: "all" | "own";
}

/** What follows for a layer from the shape of its input. */
export interface Placement {
  readonly input: ImageShape;
  readonly output: ImageShape;
  readonly parameters: readonly ParameterSpec[];
  readonly state: readonly StateSpec[];
}

/** Whole numbers, lists of them, or { float }. */
export type OnnxAttributes = Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** An ONNX graph under construction. Values go by name. */
export interface OnnxGraph {
  /** Adds a node. @returns its output */
  add(op: string, inputs: readonly string[], attributes?: OnnxAttributes): string;
  /** Adds a node that has several outputs. */
  addSplit(op: string, inputs: readonly string[], outputs: number, attributes?: OnnxAttributes): readonly string[];
  /** A constant; without a name it gets one that begins with `prefix`. */
  constant(
    of: { readonly name: string } | { readonly prefix: string },
    shape: readonly number[],
    data: OnnxData,
  ): string;
  /** Parameters or state, as constants of their names. */
  stored(specs: readonly NamedShape[]): readonly string[];
  /** The numbers of one of them. */
  numbers(spec: NamedShape): Float32Array;
  /** N × features of N × C × H × W; what is flat already stays as it is. */
  flat(x: string): string;
}

export type OnnxData = Float32Array | BigInt64Array;
