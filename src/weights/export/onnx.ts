/**
 * Writes ONNX models: the few messages of onnx.proto that a graph of operators needs. Field numbers are those of
 * github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */
import { field, float, message, number, text, type Message } from "../../io/protobuf_writer.ts";
import type { OnnxAttributes, OnnxData } from "../../net/layer.ts";

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Further outputs, if the operator has several. */
  readonly more?: readonly string[];
  readonly attributes?: OnnxAttributes;
}

export interface Constant {
  readonly shape: readonly number[];
  readonly data: OnnxData;
}

/** Dimensions; one that may be anything has a name instead of a number. */
type Shape = readonly (number | string)[];

export interface Graph {
  readonly nodes: readonly Node[];
  /** Shapes, by name. */
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly constants: ReadonlyMap<string, Constant>;
  /** The name of the only output. */
  readonly output: string;
  /** If not given, readers infer it from the nodes. */
  readonly outputShape?: Shape;
  readonly metadata?: Readonly<Record<string, string>>;
  /** The program that made it. */
  readonly producer?: string;
}

const IR_VERSION = 8;
const OPSET = 17;
const [FLOAT, INT64] = [1, 7];

export function onnxModel(graph: Graph): Uint8Array {
  return Buffer.concat(onnxMessage(graph));
}

/** As `onnxModel`, in pieces. */
export function onnxMessage({
  nodes,
  inputs,
  constants,
  output,
  outputShape,
  metadata = {},
  producer,
}: Graph): Message {
  const graph = message(
    ...nodes.map((node) => field(1, encodeNode(node))),
    field(2, text("graph")),
    ...[...constants].map(([name, tensor]) => field(5, encodeTensor(name, tensor))),
    ...Object.entries(inputs).map(([name, shape]) => field(11, encodeValue(name, shape))),
    field(12, encodeValue(output, outputShape)),
  );
  return message(
    number(1, IR_VERSION),
    ...(producer === undefined ? [] : [field(2, text(producer))]),
    field(7, graph),
    field(8, message(field(1, text("")), number(2, OPSET))),
    ...Object.entries(metadata).map(([key, value]) => field(14, message(field(1, text(key)), field(2, text(value))))),
  );
}

function encodeNode({ op, inputs, output, more = [], attributes = {} }: Node): Message {
  return message(
    ...inputs.map((name) => field(1, text(name))),
    ...[output, ...more].map((name) => field(2, text(name))),
    field(4, text(op)),
    ...Object.entries(attributes).map(([name, value]) => field(5, encodeAttribute(name, value))),
  );
}

function encodeAttribute(name: string, value: OnnxAttributes[string]): Message {
  const [TYPE_FLOAT, TYPE_INT, TYPE_INTS] = [1, 2, 7];
  if (typeof value === "number") return message(field(1, text(name)), number(3, value), number(20, TYPE_INT));
  if ("float" in value) return message(field(1, text(name)), float(2, value.float), number(20, TYPE_FLOAT));
  return message(field(1, text(name)), ...value.map((each) => number(8, each)), number(20, TYPE_INTS));
}

function encodeTensor(name: string, { shape, data }: Constant): Message {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const type = data instanceof Float32Array ? FLOAT : INT64;
  return message(...shape.map((side) => number(1, side)), number(2, type), field(8, text(name)), field(9, bytes));
}

function encodeValue(name: string, shape?: Shape): Message {
  const encodeSide = (side: number | string) => (typeof side === "number" ? number(1, side) : field(2, text(side)));
  const sides = shape && field(2, message(...shape.map((side) => field(1, encodeSide(side)))));
  const tensor = message(number(1, FLOAT), ...(sides ? [sides] : []));
  return message(field(1, text(name)), field(2, field(1, tensor)));
}
