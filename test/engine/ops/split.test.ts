/** Sums that are split over workgroups: how many ways, and that the ops come to the same results. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Backend } from "../../../src/engine/backend.ts";
import { conv2d } from "../../../src/engine/ops/conv2d.ts";
import { linear } from "../../../src/engine/ops/linear.ts";
import { chooseSplits, termsPerSplit } from "../../../src/engine/ops/split.ts";
import { Parameter } from "../../../src/engine/parameter.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { Tape } from "../../../src/engine/tape.ts";
import { describeBackends } from "../../support/backends.ts";
import { expectClose, randomArray } from "../../support/data.ts";
import { checkGradients, drawInputs, forwardAndBackward, seedGradient, type OpCase } from "../../support/gradcheck.ts";

// A software GPU on a busy machine takes its time for sums this long.
setDefaultTimeout(120_000);

/** A backend that takes this many workgroups to keep busy, and the splits of every kernel that it ran. */
function wide(backend: Backend, parallelWorkgroups: number, bindingBytes = backend.limits.bindingBytes) {
  const runs: Record<string, number[]> = {};
  const wrapped: Backend = {
    ...backend,
    needsSplitting: true,
    parallelWorkgroups,
    limits: { ...backend.limits, bindingBytes },
    run(kernel, buffers, uniforms) {
      (runs[kernel.name] ??= []).push((uniforms as { splits?: number }).splits ?? 0);
      backend.run(kernel, buffers, uniforms);
    },
  };
  return { backend: wrapped, runs };
}

test("as many splits as keep the device busy", () => {
  const splits = (parallelWorkgroups: number, sizes: [number, number, number, number], bindingBytes = 2 ** 31) =>
    chooseSplits(
      { ...openReference(), needsSplitting: true, parallelWorkgroups, limits: limits(bindingBytes) },
      ...sizes,
    );
  const limits = (bindingBytes: number) => ({ ...openReference().limits, bindingBytes });
  // Rows, columns, groups and terms of the gradient of conv1's weights at batch 128: three tiles.
  const conv1 = [96, 363, 1, 387_200] as [number, number, number, number];
  expect(chooseSplits(openReference(), ...conv1)).toBe(1);
  expect(splits(8, [96, 363, 1, 30_000])).toBe(8);
  // More than the device has places for, so that no thread sums up more than 32,768 terms.
  expect(splits(8, conv1)).toBe(12);
  expect(splits(264, conv1)).toBeWithin(84, 88 + 1);
  // No fewer than 256 terms each.
  expect(splits(264, [96, 363, 1, 255])).toBe(1);
  expect(splits(264, [96, 363, 1, 5 * 256 + 100])).toBe(5);
  // No more partial sums than can be bound.
  expect(splits(264, conv1, 10 * 96 * 363 * 4)).toBe(10);
  expect(splits(264, conv1, 96 * 363 * 4)).toBe(1);
  // 54 tiles on 264 places: 5 splits leave nearly half of the second round empty, 4 a fifth of the first.
  const conv3 = splits(264, [384, 2304, 1, 21_632]);
  expect((54 * conv3) / (264 * Math.ceil((54 * conv3) / 264))).toBeGreaterThan(0.9);
  // A product that fills the device by itself.
  expect(splits(264, [4096, 4096, 1, 4096])).toBe(1);
});

test("splits are whole slices, and hold all terms", () => {
  expect(termsPerSplit(100, 1)).toBe(112);
  expect(termsPerSplit(100, 2)).toBe(64);
  expect(termsPerSplit(100, 7)).toBe(16);
  expect(termsPerSplit(96, 2)).toBe(48);
});

const convolution: OpCase = {
  title: "convolution",
  inputs: { x: [4, 6, 7, 20], w: [6, 2, 3, 3], b: [6] },
  op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: 1, groups: 2 }),
};
const fullyConnected: OpCase = {
  title: "fully connected",
  inputs: { x: [520, 17], w: [1280, 520], b: [1280] },
  op: ({ x, w, b }) => linear(x!, w!, b!),
};

/** As many terms as conv1's weight gradient has at batch 128; a thread of a software GPU gives up before. */
const manyTerms: OpCase = {
  title: "many terms",
  inputs: { x: [1, 55, 55, 128], w: [1, 1, 1, 1], b: [1] },
  op: ({ x, w, b }) => conv2d(x!, w!, b!),
};

test("gradients, in float64", async () => {
  const small: OpCase = { ...convolution, inputs: { x: [2, 9, 8, 8], w: [4, 1, 2, 2], b: [4] } };
  const { backend, runs } = wide(openReference("f64"), 64);
  await checkGradients(small, backend);
  expect(runs.conv2d_backward_w!.every((splits) => splits > 1)).toBe(true);
});

describeBackends(
  "split sums",
  ({ open }) => {
    test("of more terms than one thread may sum", async () => {
      const data = drawInputs(manyTerms);
      const expected = await forwardAndBackward(openReference("f64"), manyTerms, data);
      const actual = await forwardAndBackward(await open(), manyTerms, data);
      expectClose("dw", actual.gradients.w!, expected.gradients.w!, 1e-4);
      expectClose("db", actual.gradients.b!, expected.gradients.b!, 1e-4);
    });

    test.each([
      ["convolution", convolution, ["conv2d_backward_w"]],
      ["fully connected", fullyConnected, ["linear_forward", "linear_backward_x"]],
    ] as const)("%s", async (_name, opCase, split) => {
      const data = drawInputs(opCase);
      const { backend, runs } = wide(await open(), 64);
      const expected = await forwardAndBackward(openReference("f64"), opCase, data);
      const actual = await forwardAndBackward(backend, opCase, data);
      expectClose("y", actual.y, expected.y, 4e-6);
      for (const input in expected.gradients) {
        expectClose(`gradient of ${input}`, actual.gradients[input]!, expected.gradients[input]!, 4e-6);
      }
      for (const kernel of split) expect(Math.min(...runs[kernel]!)).toBeGreaterThan(1);
    });

    test("weights in pieces: the sums of each piece are added to those before", async () => {
      const data = drawInputs(fullyConnected);
      // Two pieces of 640 rows.
      const { backend, runs } = wide(await open(), 64, 1_400_000);
      const expected = await forwardAndBackward(openReference("f64"), fullyConnected, data);
      const actual = await forwardAndBackward(backend, fullyConnected, data);
      expectClose("y", actual.y, expected.y, 4e-6);
      for (const input in expected.gradients) {
        expectClose(`gradient of ${input}`, actual.gradients[input]!, expected.gradients[input]!, 4e-6);
      }
      expect(runs.linear_forward).toEqual([2, 2]);
      expect(runs.linear_backward_x).toEqual([2, 2]);
    });

    test("partial sums are allocated once", async () => {
      const { backend } = wide(await open(), 64);
      const w = new Parameter(backend, "w", [6, 2, 3, 3]);
      const b = new Parameter(backend, "b", [6]);
      const held: number[] = [];
      for (let step = 0; step < 3; step++) {
        const tape = new Tape(backend);
        const x = tape.input([4, 6, 7, 20], randomArray([4, 6, 7, 20], 1));
        const y = conv2d(x, w, b, { pad: 1, groups: 2 });
        tape.backward(seedGradient(y, randomArray(y.shape, 2)));
        tape.release();
        held.push(backend.statistics().bytes);
      }
      expect(held[2]).toBe(held[1]!);
      await backend.synchronize();
    });
  },
  ["wgpu"],
);
