/**
 * Tests of an op as a function of tensors: its gradients against central differences through the whole tape, in
 * float64; and what each backend makes of it against the plain loops in float64.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Backend, HostArray } from "../../src/engine/backend.ts";
import { openReference } from "../../src/engine/reference.ts";
import { Tape } from "../../src/engine/tape.ts";
import type { Tensor } from "../../src/engine/tensor.ts";
import { describeBackends } from "./backends.ts";
import { expectClose, randomArray, type Values } from "./data.ts";

export interface OpCase {
  readonly title: string;
  /** The shapes of its inputs; a gradient is computed for each. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  op(inputs: Readonly<Record<string, Tensor>>): Tensor;
  /** The contents of an input; uniform in ±1 unless said. */
  readonly values?: (shape: readonly number[], seed: number, name: string) => Float32Array;
}

type Arrays = Readonly<Record<string, Float32Array | Float64Array>>;

/**
 * Stands for the loss Σ seed · y: its gradient with respect to y is `seed`. It needs no kernel, since the loss
 * itself is never read.
 */
export function seedGradient(y: Tensor, seed: HostArray): Tensor {
  const { tape, backend } = y;
  if (!tape) throw new Error("seedGradient: the tensor has no tape");
  const loss = tape.allocate([1]);
  tape.record({
    inputs: [y],
    output: loss,
    saved: [],
    backward: () => tape.accumulate(y, (dy) => backend.write(dy.buffer, seed)),
  });
  return loss;
}

/** Runs an op forward and, for the loss Σ seed · y, backward. */
export async function forwardAndBackward(backend: Backend, { inputs, op }: OpCase, data: Arrays) {
  const tape = new Tape(backend);
  const tensors: Record<string, Tensor> = {};
  for (const name in inputs) tensors[name] = tape.input(inputs[name]!, data[name]!, { requiresGrad: true }).keep();
  const output = op(tensors).keep();
  const seed = randomArray(output.shape, 99);
  tape.backward(seedGradient(output, seed));
  const y: Values = await output.read();
  const gradients: Record<string, Values> = {};
  for (const name in inputs) {
    const { grad } = tensors[name]!;
    if (!grad) throw new Error(`${name} got no gradient`);
    gradients[name] = await grad.read();
  }
  tape.release();
  return { y, gradients, seed };
}

/** The contents of the inputs, each from a seed of its own. */
export function drawInputs({ inputs, values = randomArray }: OpCase): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(inputs).map(([name, shape], i) => [name, values(shape, i + 1, name)]));
}

/**
 * Half the distance between the two points of a central difference. In float64 its error is about step² times the third
 * derivative plus 1e-16 / step: 1e-10 together.
 */
const STEP = 1e-5;
const GRADIENT_TOLERANCE = 1e-8;

/**
 * @param backend one that computes in float64
 * @throws an error that names the input, the index and both values where a gradient is wrong
 */
export async function checkGradients(opCase: OpCase, backend: Backend = openReference("f64")): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(drawInputs(opCase)).map(([name, array]) => [name, Float64Array.from(array)]),
  );
  const { gradients, seed } = await forwardAndBackward(backend, opCase, data);
  const loss = async () => {
    const tape = new Tape(backend, { record: false });
    const tensors = Object.fromEntries(
      Object.entries(opCase.inputs).map(([name, shape]) => [name, tape.input(shape, data[name]!)]),
    );
    const y: Values = await opCase.op(tensors).read();
    tape.release();
    return seed.reduce((sum, r, i) => sum + r * y[i]!, 0);
  };
  for (const [name, values] of Object.entries(data)) {
    const differences = new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      values[i] = value + STEP;
      const above = await loss();
      values[i] = value - STEP;
      differences[i] = (above - (await loss())) / (2 * STEP);
      values[i] = value;
    }
    expect(
      differences.some((d) => d !== 0),
      `no gradient of ${name} at all: the case tests nothing`,
    ).toBe(true);
    expectClose(`${opCase.title}: gradient of ${name}`, gradients[name]!, differences, GRADIENT_TOLERANCE);
  }
}

/** Gradient checks of all cases, and every backend's results and gradients against the reference in float64. */
export function testOp(name: string, cases: readonly OpCase[], tolerance: number): void {
  describe(`${name}: gradient`, () => {
    for (const opCase of cases) test(opCase.title, () => checkGradients(opCase));
  });
  testOnBackends(name, cases, tolerance);
}

/** @param tolerance relative to the largest number of the array */
export function testOnBackends(name: string, cases: readonly OpCase[], tolerance: number): void {
  const known = new Map<OpCase, ReturnType<typeof forwardAndBackward>>();
  /** Of the plain loops, worked out once for all backends. */
  const expectedOf = (opCase: OpCase) => {
    const expected = known.get(opCase) ?? forwardAndBackward(openReference("f64"), opCase, drawInputs(opCase));
    known.set(opCase, expected);
    return expected;
  };
  describeBackends(name, ({ open }) => {
    let backend: Backend;
    beforeAll(async () => void (backend = await open()));
    for (const opCase of cases) {
      test(opCase.title, async () => {
        const expected = await expectedOf(opCase);
        const actual = await forwardAndBackward(backend, opCase, drawInputs(opCase));
        expectClose("y", actual.y, expected.y, tolerance);
        for (const input in expected.gradients) {
          expectClose(`gradient of ${input}`, actual.gradients[input]!, expected.gradients[input]!, tolerance);
        }
      });
    }
  });
}
