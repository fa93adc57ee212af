/**
 * Reads an ONNX model and computes it with plain loops: a second opinion of what src/weights/export writes, for the
 * operators of the networks. After github.com/onnx/onnx/blob/main/docs/Operators.md.
 */
import { fieldsOf, numbersOf, textOf, type Field } from "../../src/io/protobuf_reader.ts";

export interface Value {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, number | readonly number[]>;
}

export interface OnnxModel {
  readonly metadata: Readonly<Record<string, string>>;
  /** Sides of the input and the output, by number or name. */
  readonly input: readonly (number | string)[];
  readonly output: readonly (number | string)[];
  run(image: Value): Value;
}

const product = (shape: readonly number[]) => shape.reduce((total, side) => total * side, 1);
const all = (bytes: Uint8Array, id: number): Field[] => [...fieldsOf(bytes)].filter((field) => field.id === id);
const text = (bytes: Uint8Array, id: number): string => all(bytes, id).map(textOf)[0] ?? "";
const whole = (bytes: Uint8Array, id: number): number => all(bytes, id)[0]?.value ?? 0;
const floats = (bytes: Uint8Array) => new Float32Array(new Uint8Array(bytes).buffer);

export function readOnnx(bytes: Uint8Array): OnnxModel {
  const graph = all(bytes, 7)[0]!.bytes;
  const constants = new Map<string, Value>();
  for (const { bytes: tensor } of all(graph, 5)) {
    const raw = new Uint8Array(all(tensor, 9)[0]!.bytes);
    const data = whole(tensor, 2) === 7 ? Float32Array.from(new BigInt64Array(raw.buffer), Number) : floats(raw);
    constants.set(text(tensor, 8), { shape: all(tensor, 1).flatMap(numbersOf), data });
  }
  const nodes = all(graph, 1).map(({ bytes: node }): Node => {
    const attributes = all(node, 5).map(({ bytes: attribute }) => {
      const [real] = all(attribute, 2);
      const list = all(attribute, 8).flatMap(numbersOf);
      return [
        text(attribute, 1),
        list.length > 0 ? list : real ? floats(real.bytes)[0]! : whole(attribute, 3),
      ] as const;
    });
    return {
      op: text(node, 4),
      inputs: all(node, 1).map(textOf),
      outputs: all(node, 2).map(textOf),
      attributes: new Map(attributes),
    };
  });
  const sides = (id: number) => {
    const type = all(all(all(graph, id)[0]!.bytes, 2)[0]!.bytes, 1)[0]!.bytes;
    return all(all(type, 2)[0]!.bytes, 1).map(({ bytes: side }) => text(side, 2) || whole(side, 1));
  };
  return {
    metadata: Object.fromEntries(all(bytes, 14).map(({ bytes: entry }) => [text(entry, 1), text(entry, 2)])),
    input: sides(11),
    output: sides(12),
    run(image) {
      const values = new Map([...constants, [text(all(graph, 11)[0]!.bytes, 1), image]]);
      for (const node of nodes) {
        const operator = OPERATORS[node.op];
        if (!operator) throw new Error(`no operator ${node.op}`);
        const list = (name: string) => (node.attributes.get(name) as readonly number[] | undefined) ?? [];
        const one = (name: string, usual = 0) => (node.attributes.get(name) as number | undefined) ?? usual;
        const results = operator(
          node.inputs.map((name) => values.get(name)!),
          { one, list },
        );
        node.outputs.forEach((name, i) => values.set(name, results[i]!));
      }
      return values.get(text(all(graph, 12)[0]!.bytes, 1))!;
    },
  };
}

interface Attributes {
  one(name: string, usual?: number): number;
  list(name: string): readonly number[];
}
type Operator = (inputs: readonly Value[], attributes: Attributes) => Value[];

/** Every element of a shape, with its indices. */
function each(shape: readonly number[], visit: (index: readonly number[], at: number) => void): void {
  const index = shape.map(() => 0);
  for (let at = 0; at < product(shape); at++) {
    visit(index, at);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
}

function offset(shape: readonly number[], index: readonly number[]): number {
  // Sides of 1 are repeated, and those in front may be absent.
  const own = index.slice(index.length - shape.length);
  return shape.reduce((at, side, axis) => at * side + (side === 1 ? 0 : own[axis]!), 0);
}

function made(shape: readonly number[], value: (index: readonly number[]) => number): Value[] {
  const data = new Float32Array(product(shape));
  each(shape, (index, at) => (data[at] = value(index)));
  return [{ shape, data }];
}

const binary =
  (compute: (a: number, b: number) => number): Operator =>
  ([a, b]) => {
    const shape = a!.shape.length >= b!.shape.length ? a!.shape : b!.shape;
    return made(shape, (index) => compute(a!.data[offset(a!.shape, index)]!, b!.data[offset(b!.shape, index)]!));
  };
const unary =
  (compute: (value: number) => number): Operator =>
  ([x]) => [{ shape: x!.shape, data: x!.data.map(compute) }];

/** @param reduce what becomes of the values in a window, and of how many places it has inside of image and padding */
const pool =
  (reduce: (values: readonly number[], padded: number, countPad: boolean) => number): Operator =>
  ([x], { one, list }) => {
    const [n = 0, c = 0, h = 0, w = 0] = x!.shape;
    const [window = 0] = list("kernel_shape");
    const [[stride = 1], [pad = 0]] = [list("strides"), list("pads")];
    const round = one("ceil_mode") === 1 ? Math.ceil : Math.floor;
    const [oh, ow] = [h, w].map((side) => round((side + 2 * pad - window) / stride) + 1) as [number, number];
    return made([n, c, oh, ow], ([image = 0, map = 0, p = 0, q = 0]) => {
      const values: number[] = [];
      let padded = 0;
      for (let i = p * stride - pad; i < p * stride - pad + window; i++) {
        for (let j = q * stride - pad; j < q * stride - pad + window; j++) {
          if (i < h + pad && j < w + pad) padded++;
          if (i >= 0 && j >= 0 && i < h && j < w) values.push(x!.data[((image * c + map) * h + i) * w + j]!);
        }
      }
      return reduce(values, padded, one("count_include_pad") === 1);
    });
  };
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** 2/√π ∫ e^(−t²) dt from 0 to x, by Simpson's rule. */
function erf(x: number): number {
  const steps = 200;
  const weights = Array.from({ length: steps + 1 }, (_, i) => (i === 0 || i === steps ? 1 : i % 2 ? 4 : 2));
  const heights = weights.map((weight, i) => weight * Math.exp(-(((x * i) / steps) ** 2)));
  return ((2 / Math.sqrt(Math.PI)) * sum(heights) * x) / steps / 3;
}

const OPERATORS: Readonly<Record<string, Operator>> = {
  Identity: ([x]) => [x!],
  Sub: binary((a, b) => a - b),
  Add: binary((a, b) => a + b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b),
  Pow: binary((a, b) => a ** b),
  Relu: unary((value) => Math.max(0, value)),
  Tanh: unary(Math.tanh),
  Sigmoid: unary((value) => 1 / (1 + Math.exp(-value))),
  Erf: unary(erf),
  HardSwish: unary((value) => value * Math.max(0, Math.min(1, value / 6 + 0.5))),
  Clip([x, low, high]) {
    const [least, most] = [low!.data[0]!, high!.data[0]!];
    return [{ shape: x!.shape, data: x!.data.map((value) => Math.min(Math.max(least, value), most)) }];
  },
  MaxPool: pool((values) => Math.max(...values)),
  AveragePool: pool((values, padded, countPad) => sum(values) / (countPad ? padded : values.length)),
  GlobalAveragePool([x]) {
    const [n = 0, c = 0, ...plane] = x!.shape;
    const size = product(plane);
    return made([n, c, 1, 1], ([image = 0, map = 0]) => {
      const first = (image * c + map) * size;
      return sum([...x!.data.subarray(first, first + size)]) / size;
    });
  },
  Flatten: ([x]) => [{ shape: [x!.shape[0]!, product(x!.shape.slice(1))], data: x!.data }],
  Conv([x, weights, bias], { one, list }) {
    const [n = 0, c = 0, h = 0, w = 0] = x!.shape;
    const [o = 0, inputs = 0, kh = 0, kw = 0] = weights!.shape;
    const [[stride = 1], [above = 0, left = 0, below = 0, right = 0]] = [list("strides"), list("pads")];
    const groups = one("group", 1);
    const [oh, ow] = [
      Math.floor((h + above + below - kh) / stride) + 1,
      Math.floor((w + left + right - kw) / stride) + 1,
    ];
    return made([n, o, oh, ow], ([image = 0, output = 0, p = 0, q = 0]) => {
      let total = bias?.data[output] ?? 0;
      const first = Math.floor(output / (o / groups)) * inputs;
      for (let k = 0; k < inputs; k++) {
        for (let i = 0; i < kh; i++) {
          for (let j = 0; j < kw; j++) {
            const [row, column] = [p * stride + i - above, q * stride + j - left];
            if (row < 0 || column < 0 || row >= h || column >= w) continue;
            total +=
              weights!.data[((output * inputs + k) * kh + i) * kw + j]! *
              x!.data[((image * c + first + k) * h + row) * w + column]!;
          }
        }
      }
      return total;
    });
  },
  BatchNormalization([x, scale, shift, mean, variance], { one }) {
    const epsilon = one("epsilon", 1e-5);
    return made(x!.shape, (index) => {
      const map = index[1]!;
      const deviation = Math.sqrt(variance!.data[map]! + epsilon);
      const normal = (x!.data[offset(x!.shape, index)]! - mean!.data[map]!) / deviation;
      return normal * scale!.data[map]! + shift!.data[map]!;
    });
  },
  Gemm([x, weights, bias], { one }) {
    if (one("transB") !== 1) throw new Error("Gemm without transB");
    const [n = 0, k = 0] = x!.shape;
    const [o = 0] = weights!.shape;
    return made([n, o], ([row = 0, output = 0]) => {
      let total = bias?.data[output] ?? 0;
      for (let i = 0; i < k; i++) total += x!.data[row * k + i]! * weights!.data[output * k + i]!;
      return total;
    });
  },
  MatMul([a, b]) {
    const [rows = 0, k = 0] = a!.shape.slice(-2);
    const columns = b!.shape.at(-1)!;
    return made([...a!.shape.slice(0, -1), columns], (index) => {
      const [row, column] = index.slice(-2) as [number, number];
      const batch = index.slice(0, -2).reduce((at, i, axis) => at * a!.shape[axis]! + i, 0);
      let total = 0;
      for (let i = 0; i < k; i++) {
        total += a!.data[(batch * rows + row) * k + i]! * b!.data[(batch * k + i) * columns + column]!;
      }
      return total;
    });
  },
  Transpose([x], { list }) {
    const order = list("perm");
    return made(
      order.map((axis) => x!.shape[axis]!),
      (index) => {
        const source = order.reduce<number[]>((of, axis, i) => ((of[axis] = index[i]!), of), []);
        return x!.data[offset(x!.shape, source)]!;
      },
    );
  },
  LRN([x], { one }) {
    const [size, alpha, beta, k] = [one("size"), one("alpha"), one("beta"), one("bias", 1)];
    const reach = Math.floor((size - 1) / 2);
    return made(x!.shape, ([image = 0, map = 0, ...place]) => {
      let total = 0;
      for (let i = Math.max(0, map - reach); i <= Math.min(x!.shape[1]! - 1, map + reach); i++) {
        total += x!.data[offset(x!.shape, [image, i, ...place])]! ** 2;
      }
      return x!.data[offset(x!.shape, [image, map, ...place])]! * (k + (alpha / size) * total) ** -beta;
    });
  },
  Split([x, sizes], { one }) {
    if (one("axis") !== 1) throw new Error("Split along another axis");
    let from = 0;
    return [...sizes!.data].flatMap((size) => {
      const start = from;
      from += size;
      const shape = x!.shape.with(1, size);
      return made(
        shape,
        ([image = 0, map = 0, ...place]) => x!.data[offset(x!.shape, [image, start + map, ...place])]!,
      );
    });
  },
  Concat(parts, { one }) {
    if (one("axis") !== 1) throw new Error("Concat along another axis");
    const sizes = parts.map(({ shape }) => shape[1]!);
    return made(parts[0]!.shape.with(1, sum(sizes)), ([image = 0, map = 0, ...place]) => {
      let [part, within] = [0, map];
      while (within >= sizes[part]!) within -= sizes[part++]!;
      return parts[part]!.data[offset(parts[part]!.shape, [image, within, ...place])]!;
    });
  },
  Softmax([x]) {
    const k = x!.shape[1]!;
    return made(x!.shape, ([row = 0, column = 0]) => {
      const exponentials = x!.data.subarray(row * k, (row + 1) * k).map(Math.exp);
      return exponentials[column]! / sum([...exponentials]);
    });
  },
};
