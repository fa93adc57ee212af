import { beforeAll, describe, expect, test } from "bun:test";
import { Tape } from "../../src/autograd/tape.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { openReference } from "../../src/backends/reference.ts";
import { ShapeError } from "../../src/errors.ts";
import { softmaxCrossEntropy } from "../../src/ops/softmax_cross_entropy.ts";
import { describeBackends } from "../helpers/backends.ts";
import { expectClose, randomArray } from "../helpers/data.ts";
import { testOp, type OpCase } from "../helpers/gradcheck.ts";

function lossCase(title: string, z: readonly [classes: number, images: number], valid?: number): OpCase {
  return {
    title,
    inputs: { z },
    op: ({ z: logits }) => {
      const labels = Uint32Array.from({ length: z[1] }, (_, n) => (n * 7 + 1) % z[0]);
      return softmaxCrossEntropy(logits!, logits!.tape!.input([z[1]], labels), valid).loss;
    },
    values: (shape, seed) => randomArray(shape, seed).map((v) => 4 * v),
  };
}

const cases = [
  lossCase("two classes, one image", [2, 1]),
  lossCase("7 classes, 3 images", [7, 3]),
  lossCase("5 classes, 5 images of which 2 count", [5, 5], 2),
  lossCase("131 classes, 3 images", [131, 3]),
];

// exp and log of a GPU: about 1e-6.
testOp("softmaxCrossEntropy", cases, 4e-6);

/** Loss, losses, ranks and the gradient of logits given as one list for each image. */
async function evaluate(backend: Backend, images: readonly (readonly number[])[], labels: number[], valid?: number) {
  const tape = new Tape(backend);
  const classes = images[0]!.length;
  const logits = Float32Array.from({ length: classes * images.length }, (_, i) => {
    return images[i % images.length]![Math.floor(i / images.length)]!;
  });
  const z = tape.input([classes, images.length], logits, { requiresGrad: true });
  const result = softmaxCrossEntropy(z, tape.input([labels.length], Uint32Array.from(labels)), valid);
  tape.backward(result.loss);
  const read = async (tensor: { read(): Promise<ArrayLike<number>> }) => Array.from(await tensor.read());
  return {
    loss: await read(result.loss),
    losses: await read(result.losses),
    ranks: await read(result.ranks),
    dz: await read(z.grad!),
  };
}

function knownValues(open: () => Promise<Backend>): void {
  let backend: Backend;
  beforeAll(async () => void (backend = await open()));

  test("equal logits: log of the number of classes", async () => {
    const { loss, losses, dz } = await evaluate(backend, [[3, 3, 3, 3]], [2]);
    expectClose("loss", [...loss, ...losses], [Math.log(4), Math.log(4)], 1e-6);
    expectClose("dz", dz, [0.25, 0.25, -0.75, 0.25], 1e-6);
  });

  test("large logits do not overflow", async () => {
    const { losses, dz } = await evaluate(backend, [[10_000, 0], [-10_000, 0]], [1, 1]); // prettier-ignore
    expectClose("losses", losses, [10_000, 0], 1e-6);
    expectClose("dz", dz, [0.5, 0, -0.5, 0], 1e-6);
  });

  test("images that don't count have no loss, no gradient, and are not divided by", async () => {
    const { loss, losses, dz } = await evaluate(backend, [[0, 0], [5, 1], [2, 9]], [0, 1, 1], 1); // prettier-ignore
    expectClose("losses", [...loss, ...losses], [Math.log(2), Math.log(2), 0, 0], 1e-6);
    expectClose("dz", dz, [-0.5, 0, 0, 0.5, 0, 0], 1e-6);
  });

  test("ranks: how many classes come before the right one, tied ones in their order", async () => {
    const logits = [5, 1, 9, 5, 5];
    for (const [label, rank] of [1, 4, 0, 2, 3].entries()) {
      expect((await evaluate(backend, [logits], [label])).ranks).toEqual([rank]);
    }
  });
}

describe("softmaxCrossEntropy, known values, plain loops", () => knownValues(async () => openReference()));
describeBackends("softmaxCrossEntropy, known values", ({ open }) => knownValues(open));

test("softmaxCrossEntropy refuses other numbers of labels, and labels that are not u32", () => {
  const tape = new Tape(openReference());
  const logits = tape.input([3, 2], new Float32Array(6));
  const call = () => softmaxCrossEntropy(logits, tape.input([3], new Uint32Array(3)));
  expect(call).toThrow(ShapeError);
  expect(call).toThrow("logits 3 × 2, labels 3 of type u32");
  expect(() => softmaxCrossEntropy(logits, tape.input([2], new Float32Array(2)))).toThrow("labels 2 of type f32");
});
