/**
 * Writes ONNX models: the few messages of onnx.proto that a chain of operators takes, in protobuf's wire format. Field
 * numbers are those of github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */
import type { HostTensor } from "./contestant.ts";

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Whole numbers, lists of them, or { float }. */
  readonly attributes?: Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;
}

export interface Graph {
  readonly nodes: readonly Node[];
  /** With their shapes. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly constants: ReadonlyMap<string, HostTensor>;
  /** The name of the only output. */
  readonly output: string;
}

const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;

export function onnxModel({ nodes, inputs, constants, output }: Graph): Uint8Array {
  const graph = message(
    ...nodes.map((node) => field(1, encodeNode(node))),
    field(2, text("graph")),
    ...[...constants].map(([name, tensor]) => field(5, encodeTensor(name, tensor))),
    ...Object.entries(inputs).map(([name, shape]) => field(11, encodeValue(name, shape))),
    field(12, encodeValue(output)),
  );
  const opset = message(field(1, text("")), number(2, OPSET));
  return message(number(1, IR_VERSION), field(7, graph), field(8, opset));
}

function encodeNode({ op, inputs, output, attributes = {} }: Node): Uint8Array {
  return message(
    ...inputs.map((name) => field(1, text(name))),
    field(2, text(output)),
    field(4, text(op)),
    ...Object.entries(attributes).map(([name, value]) => field(5, encodeAttribute(name, value))),
  );
}

function encodeAttribute(name: string, value: NonNullable<Node["attributes"]>[string]): Uint8Array {
  const [TYPE_FLOAT, TYPE_INT, TYPE_INTS] = [1, 2, 7];
  if (typeof value === "number") return message(field(1, text(name)), number(3, value), number(20, TYPE_INT));
  if ("float" in value) {
    const bytes = new Uint8Array(new Float32Array([value.float]).buffer);
    // Wire type 5: four bytes.
    return message(field(1, text(name)), [new Uint8Array([(2 << 3) | 5]), bytes], number(20, TYPE_FLOAT));
  }
  return message(field(1, text(name)), ...value.map((each) => number(8, each)), number(20, TYPE_INTS));
}

function encodeTensor(name: string, { shape, data }: HostTensor): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return message(...shape.map((side) => number(1, side)), number(2, FLOAT), field(8, text(name)), field(9, bytes));
}

/** @param shape not told of the output: it follows from the nodes */
function encodeValue(name: string, shape?: readonly number[]): Uint8Array {
  const sides = shape && field(2, message(...shape.map((side) => field(1, message(number(1, side))))));
  const tensor = message(number(1, FLOAT), ...(sides ? [sides] : []));
  return message(field(1, text(name)), field(2, message(field(1, tensor))));
}

type Parts = readonly Uint8Array[];

function message(...fields: readonly Parts[]): Uint8Array {
  const parts = fields.flat();
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Wire type 2: a length and as many bytes. */
function field(id: number, bytes: Uint8Array): Parts {
  return [varint((id << 3) | 2), varint(bytes.length), bytes];
}

/** Wire type 0: a whole number, not negative. */
function number(id: number, value: number): Parts {
  return [varint(id << 3), varint(value)];
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return new Uint8Array(bytes);
}
