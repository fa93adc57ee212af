import { beforeAll, describe, expect, test } from "bun:test";
import type { Backend } from "../../../src/engine/backend.ts";
import { softmaxCrossEntropy } from "../../../src/engine/ops/softmax_cross_entropy.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { ShapeError } from "../../../src/errors.ts";
import { describeBackends } from "../../support/backends.ts";
import { expectClose, randomArray } from "../../support/data.ts";
import { testOp, type OpCase } from "../../support/gradcheck.ts";
import { any } from "../../support/refusals.ts";

interface Soft {
  readonly valid?: number;
  readonly smoothing?: number;
  /** The share of the label of each image; the other label is the next one, that of image 1 its own. */
  readonly shares?: readonly number[];
}

function lossCase(
  title: string,
  z: readonly [classes: number, images: number],
  { valid, smoothing = 0, shares }: Soft = {},
): OpCase {
  return {
    title,
    inputs: { z },
    op: ({ z: logits }) => {
      const labels = Uint32Array.from({ length: z[1] }, (_, n) => (n * 7 + 1) % z[0]);
      const tape = logits!.tape!;
      const mix = shares && {
        others: tape.input(
          [z[1]],
          labels.map((label, n) => (n === 1 ? label : (label + 1) % z[0])),
        ),
        shares: tape.input([z[1]], Float32Array.from(shares)),
      };
      const targets = { smoothing, ...(mix && { mix }) };
      return softmaxCrossEntropy(logits!, tape.input([z[1]], labels), valid, targets).loss;
    },
    values: (shape, seed) => randomArray(shape, seed).map((v) => 4 * v),
  };
}

const cases = [
  lossCase("two classes, one image", [2, 1]),
  lossCase("7 classes, 3 images", [7, 3]),
  lossCase("5 classes, 5 images of which 2 count", [5, 5], { valid: 2 }),
  lossCase("131 classes, 3 images", [131, 3]),
  lossCase("smoothed labels, 7 classes, 3 images", [7, 3], { smoothing: 0.1 }),
  lossCase("mixed labels, 7 classes, 4 images", [7, 4], { shares: [0.7, 0.2, 0, 1] }),
  lossCase("smoothed and mixed labels, 131 classes, 5 images of which 4 count", [131, 5], {
    ...{ valid: 4, smoothing: 0.3, shares: [0.7, 0.2, 0, 1, 0.5] },
  }),
];

// exp and log of a GPU: about 1e-6.
testOp("softmaxCrossEntropy", cases, 4e-6);

interface Given {
  readonly valid?: number;
  readonly smoothing?: number;
  readonly others?: readonly number[];
  readonly shares?: readonly number[];
}

/** Loss, losses, ranks and the gradient of logits given as one list for each image. */
async function evaluate(
  backend: Backend,
  images: readonly (readonly number[])[],
  labels: number[],
  { valid, smoothing = 0, others, shares }: Given = {},
) {
  const tape = new Tape(backend);
  const classes = images[0]!.length;
  const logits = Float32Array.from({ length: classes * images.length }, (_, i) => {
    return images[i % images.length]![Math.floor(i / images.length)]!;
  });
  const z = tape.input([classes, images.length], logits, { requiresGrad: true });
  const mix = others &&
    shares && {
      others: tape.input([others.length], Uint32Array.from(others)),
      shares: tape.input([shares.length], Float32Array.from(shares)),
    };
  const targets = { smoothing, ...(mix && { mix }) };
  const result = softmaxCrossEntropy(z, tape.input([labels.length], Uint32Array.from(labels)), valid, targets);
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
    const { loss, losses, dz } = await evaluate(backend, [[0, 0], [5, 1], [2, 9]], [0, 1, 1], { valid: 1 }); // prettier-ignore
    expectClose("losses", [...loss, ...losses], [Math.log(2), Math.log(2), 0, 0], 1e-6);
    expectClose("dz", dz, [-0.5, 0, 0, 0.5, 0, 0], 1e-6);
  });

  test("a smoothed label: the rest of it is spread over all classes", async () => {
    // p = 1/4 and 3/4, t = 0.4/2 and 0.6 + 0.4/2.
    const { losses, dz } = await evaluate(backend, [[0, Math.log(3)]], [1], { smoothing: 0.4 });
    expectClose("losses", losses, [-0.2 * Math.log(1 / 4) - 0.8 * Math.log(3 / 4)], 1e-6);
    expectClose("dz", dz, [0.05, -0.05], 1e-6);
  });

  test("mixed labels: a share of each; the rank is that of the first", async () => {
    const mixed = { others: [1, 0], shares: [0.25, 0.25] };
    // The second image is mixed with one of its own class.
    const { losses, dz, ranks } = await evaluate(backend, [[0, Math.log(3)], [1, 1]], [0, 0], mixed); // prettier-ignore
    const first = -0.25 * Math.log(1 / 4) - 0.75 * Math.log(3 / 4);
    expectClose("losses", losses, [first, Math.log(2)], 1e-6);
    expectClose("dz", dz, [0, -0.25, 0, 0.25], 1e-6);
    expect(ranks).toEqual([1, 0]);
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
  expect(() => softmaxCrossEntropy(logits, any(tape.input([2], new Float32Array(2))))).toThrow("labels 2 of type f32");
  const labels = tape.input([2], new Uint32Array(2));
  const [three, floats] = [any(tape.input([3], new Uint32Array(3))), any(tape.input([2], new Float32Array(2)))];
  for (const [mix, message] of [
    [{ others: three, shares: floats }, "other labels 3 of type u32, shares 2"],
    [{ others: floats, shares: floats }, "other labels 2 of type f32, shares 2"],
    [{ others: labels, shares: three }, "other labels 2 of type u32, shares 3"],
  ] as const) {
    expect(() => softmaxCrossEntropy(logits, labels, 2, { mix })).toThrow(message);
  }
});
