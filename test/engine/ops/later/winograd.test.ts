/** Convolution by Winograd's minimal filtering: the same as the direct form, and where it is taken. */
import { expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { conv2d } from "../../../../src/engine/ops/conv2d.ts";
import { suitsWinograd } from "../../../../src/engine/ops/later/winograd.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { describeBackends } from "../../../support/backends.ts";
import { expectClose } from "../../../support/data.ts";
import { drawInputs, forwardAndBackward, type OpCase } from "../../../support/gradcheck.ts";
import { watched } from "../../../support/watched.ts";

const cases: OpCase[] = [
  {
    title: "32 maps to 33",
    inputs: { x: [32, 7, 8, 3], w: [33, 32, 3, 3], b: [33] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: 1 }),
  },
  {
    title: "two groups, no padding: tiles that reach beyond the border in the gradient",
    inputs: { x: [64, 10, 9, 4], w: [66, 32, 3, 3], b: [66] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!, { groups: 2 }),
  },
  {
    title: "5 × 5, two groups",
    inputs: { x: [64, 8, 11, 3], w: [66, 32, 5, 5], b: [66] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: 2, groups: 2 }),
  },
  {
    title: "5 × 5, no padding",
    inputs: { x: [33, 12, 12, 1], w: [32, 33, 5, 5], b: [32] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!),
  },
  {
    title: 'padding "same"',
    inputs: { x: [32, 8, 7, 2], w: [32, 32, 5, 5], b: [32] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: "same" }),
  },
  {
    title: "padding of 2",
    inputs: { x: [33, 8, 8, 2], w: [32, 33, 3, 3], b: [32] },
    op: ({ x, w, b }) => conv2d(x!, w!, b!, { pad: 2 }),
  },
];

/** Forward and backward, by Winograd on `backend` and directly in float64. */
async function compare(backend: Backend, opCase: OpCase, tolerance: number): Promise<void> {
  const data = drawInputs(opCase);
  const many = watched(backend, { needsSplitting: true });
  const expected = await forwardAndBackward(openReference("f64"), opCase, data);
  const actual = await forwardAndBackward(many.backend, opCase, data);
  expectClose("y", actual.y, expected.y, tolerance);
  for (const input in expected.gradients) {
    expectClose(`gradient of ${input}`, actual.gradients[input]!, expected.gradients[input]!, tolerance);
  }
  expect(many.kernels.filter((name) => /^winograd_.*_output$/.test(name))).toHaveLength(2);
  expect(many.kernels.filter((name) => /^winograd_.*_windows$/.test(name))).toHaveLength(1);
  expect(many.kernels).not.toContain("conv2d_forward");
}

test.each(cases.map((each) => [each.title, each] as const))("in float64: %s", (_title, opCase) =>
  compare(openReference("f64"), opCase, 1e-13),
);

describeBackends(
  "winograd",
  ({ open }) => {
    test.each(cases.map((each) => [each.title, each] as const))("%s", async (_title, opCase) =>
      compare(await open(), opCase, 2e-5),
    );
  },
  ["wgpu"],
);

test("where it is taken", () => {
  const gpu: Backend = { ...openReference(), needsSplitting: true };
  const conv3 = {
    images: 128,
    c: 256,
    h: 13,
    w: 13,
    o: 384,
    oh: 13,
    ow: 13,
    kh: 3,
    kw: 3,
    stride: 1,
    pad: 1,
    groups: 1,
  };
  const suits = (changes: Partial<typeof conv3>, backend = gpu) => suitsWinograd(backend, { ...conv3, ...changes });
  expect(suits({})).toBe(true);
  expect(suits({}, openReference())).toBe(false);
  expect(suits({ kh: 5, kw: 5, pad: 2 })).toBe(true);
  expect(suits({ kh: 7, kw: 7, pad: 3 })).toBe(false);
  expect(suits({ kw: 5 })).toBe(false);
  expect(suits({ stride: 2 })).toBe(false);
  expect(suits({ groups: 16 })).toBe(false);
  expect(suits({ pad: 3, oh: 17, ow: 17 })).toBe(false);
  // Less than three fifths of 8 × 8 outputs are some.
  expect(suits({ h: 6, w: 6, oh: 6, ow: 6 })).toBe(false);
  // 36 · 384 · 16 · 128 numbers of 4 bytes are 113 MB.
  const binds = (bindingBytes: number): Backend => ({ ...gpu, limits: { ...gpu.limits, bindingBytes } });
  expect(suits({}, binds(113_246_208))).toBe(true);
  expect(suits({}, binds(113_246_207))).toBe(false);
});
