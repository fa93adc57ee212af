import { expect, test } from "bun:test";
import { softmaxCrossEntropy } from "../../../../src/engine/ops/softmax_cross_entropy.ts";
import { weightedCrossEntropy } from "../../../../src/engine/ops/later/weighted_cross_entropy.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";
import { ShapeError } from "../../../../src/errors.ts";
import { weightsOfBatch } from "../../../../src/net/later/loss_weights.ts";
import type { LossLabels } from "../../../../src/net/passes.ts";
import { describeBackends } from "../../../support/backends.ts";
import { expectClose, randomArray } from "../../../support/data.ts";
import { testOp, type OpCase } from "../../../support/gradcheck.ts";

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
      const others = labels.map((label, n) => (n === 1 ? label : (label + 1) % z[0]));
      const mix = shares && {
        others: tape.input([z[1]], others),
        shares: tape.input([z[1]], Float32Array.from(shares)),
      };
      const weights = tape.input(
        [z[0]],
        Float32Array.from({ length: z[0] }, (_, k) => 0.25 * (1 + ((k * 5) % 8))),
      );
      const targets = { smoothing, ...(mix && { mix }) };
      return weightedCrossEntropy(logits!, tape.input([z[1]], labels), weights, valid, targets).loss;
    },
    values: (shape, seed) => randomArray(shape, seed).map((v) => 4 * v),
  };
}

testOp(
  "weightedCrossEntropy",
  [
    lossCase("two classes, one image", [2, 1]),
    lossCase("7 classes, 3 images", [7, 3]),
    lossCase("5 classes, 5 images of which 2 count", [5, 5], { valid: 2 }),
    lossCase("smoothed labels, 131 classes, 3 images", [131, 3], { smoothing: 0.1 }),
    lossCase("mixed labels, 7 classes, 4 images", [7, 4], { shares: [0.7, 0.2, 0, 1] }),
    lossCase("smoothed and mixed labels, 31 classes, 5 images of which 4 count", [31, 5], {
      ...{ valid: 4, smoothing: 0.3, shares: [0.7, 0.2, 0, 1, 0.5] },
    }),
  ],
  4e-6,
);

/** PyTorch 2.15's `CrossEntropyLoss(weight=w, label_smoothing=s)` in float64, and its gradient. */
const PYTORCH = [
  {
    smoothing: 0,
    loss: 2.47664885988125,
    dz: [
      ...[-0.402054827521, 0.011559684567, 0.12844222286, 0.005779842283, 0.027719728027, 0.004749451014],
      ...[0.255781457071, -0.100563340874, 0.052220710845, 0.002349908511, -0.093993157503, -0.041317793627],
      ...[0.103992979969, 0.063277105183, -0.18929495915, 0.031638552592, 0.004582040225, 0.025998244992],
      ...[0.042280390481, 0.025726551124, 0.008632025445, -0.039768303386, 0.061691389251, 0.01057009762],
    ],
  },
  {
    smoothing: 0.1,
    loss: 2.451810275884322,
    dz: [
      ...[-0.371485138494, 0.002044841177, 0.117113143178, -0.003157016878, 0.01961888844, -0.005361287811],
      ...[0.239561488216, -0.092257370042, 0.049262752455, 0.000364554404, -0.085112295626, -0.027827837412],
      ...[0.093205195014, 0.063550693992, -0.173638181445, 0.03507599666, -0.00028018915, 0.023009933534],
      ...[0.038718455263, 0.026661834873, 0.007262285812, -0.032283534185, 0.065773596337, 0.010179191688],
    ],
  },
];
const [CLASSES, IMAGES] = [4, 6];
const WEIGHTS = [2, 0.5, 1, 0.25];
const LABELS = Uint32Array.of(0, 1, 2, 3, 1, 1);
const LOGITS = Float32Array.from({ length: CLASSES * IMAGES }, (_, i) => {
  const [k, n] = [Math.floor(i / IMAGES), i % IMAGES];
  return (((k * 5 + n * 3) % 7) * 5 - 10 + k - 0.7 * n) / 10;
});

describeBackends("weightedCrossEntropy", ({ open }) => {
  test.each(PYTORCH)("as PyTorch has it, smoothing $smoothing", async ({ smoothing, loss, dz }) => {
    const tape = new Tape(await open());
    const weights = weightsOfBatch(WEIGHTS, { labels: LABELS, valid: IMAGES }).classWeights!;
    const labels = tape.input([IMAGES], LABELS);
    const factors = tape.input([CLASSES], weights);
    const z = tape.input([CLASSES, IMAGES], LOGITS, { requiresGrad: true }).keep();
    const found = weightedCrossEntropy(z, labels, factors, IMAGES, { smoothing });
    tape.backward(found.loss);
    expectClose("loss", [...((await found.loss.read()) as Float32Array)], [loss], 1e-6);
    expectClose("dz", [...((await z.grad!.read()) as Float32Array)], dz, 2e-6);
    tape.release();
  });
});

test("with weights of 1 it is the plain loss; ranks are the same", async () => {
  const tape = new Tape(openReference("f64"));
  const labels = tape.input([IMAGES], LABELS);
  const z = tape.input([CLASSES, IMAGES], LOGITS, { requiresGrad: true });
  const ones = tape.input([CLASSES], new Float32Array(CLASSES).fill(1));
  const plain = softmaxCrossEntropy(z, labels, 5, { smoothing: 0.2 });
  const weighted = weightedCrossEntropy(z, labels, ones, 5, { smoothing: 0.2 });
  for (const name of ["loss", "losses", "ranks"] as const) {
    const [a, b] = [await plain[name].read(), await weighted[name].read()];
    expect([...b]).toEqual([...a].map((value) => expect.closeTo(value, 12)));
  }
});

test("the weights of a batch: divided by what its labels weigh, padding left out", () => {
  const labels = Uint32Array.of(0, 1, 1, 0);
  const of = (weights: readonly number[], on: Partial<LossLabels>) =>
    [...weightsOfBatch(weights, { labels, valid: 3, ...on }).classWeights!].map((weight) => expect.closeTo(weight, 6));
  expect([1.8, 0.6]).toEqual(of([3, 1], {}));
  // 2 + 1 + 2.5
  const mixed = { others: Uint32Array.of(1, 1, 0, 0), shares: Float32Array.of(0.5, 1, 0.25, 1) };
  expect([9 / 5.5, 3 / 5.5]).toEqual(of([3, 1], { mixed }));
  expect([0, 0]).toEqual(of([0, 1], { valid: 1 }));
  expect(weightsOfBatch(undefined, { labels, valid: 3 })).toEqual({});
});

test("weights for another number of classes are refused", () => {
  const tape = new Tape(openReference("f64"));
  const z = tape.input([CLASSES, IMAGES], LOGITS);
  const run = () => weightedCrossEntropy(z, tape.input([IMAGES], LABELS), tape.input([3], new Float32Array(3)));
  expect(run).toThrow(ShapeError);
  expect(run).toThrow("logits 4 × 6, weights 3: need one for each of the 4 classes");
});
