/** Each rung of the GPU's ladders against the plain loop, at sizes that its tiles don't fit. */
import { expect, test } from "bun:test";
import { convLadder } from "../../bench/ladder/conv.ts";
import { matmulLadder } from "../../bench/ladder/matmul.ts";
import type { KernelCase } from "../../src/engine/cases.ts";
import type { Kernel } from "../../src/engine/kernel.ts";
import { positions } from "../../src/engine/ops/shapes.ts";
import { openReference } from "../../src/engine/reference.ts";
import { runCase } from "../../src/verbs/doctor/kernel_check.ts";
import { describeBackends } from "../support/backends.ts";
import { expectClose, randomArray } from "../support/data.ts";

/** Sums of at most a few hundred products of numbers in ±1, in another order than the reference's. */
const TOLERANCE = 4e-6;

const cases: KernelCase[] = [];
for (const rung of matmulLadder) {
  for (const [m, n, k] of [
    [1, 1, 1],
    [17, 3, 5],
    [67, 131, 37],
    [64, 128, 16],
    [2, 65, 100],
  ] as const) {
    const title = `${m} × ${k} · ${k} × ${n}`;
    const buffers = { a: randomArray([m, k], 1), b: randomArray([k, n], 2), c: m * n };
    cases.push({ kernel: rung as unknown as Kernel, title, buffers, uniforms: { m, n, k }, tolerance: TOLERANCE });
  }
}
for (const rung of convLadder) {
  for (const [images, c, h, w, o, kh, kw, stride, pad, groups] of [
    [1, 1, 1, 1, 1, 1, 1, 1, 0, 1],
    [3, 3, 23, 27, 5, 11, 11, 4, 0, 1],
    [32, 6, 7, 7, 10, 5, 5, 1, 2, 2],
    [65, 3, 5, 3, 67, 3, 3, 2, 1, 1],
    [2, 2, 3, 3, 4, 5, 5, 1, 1, 1],
  ] as const) {
    const [oh, ow] = [positions(h, kh, stride, pad, "down"), positions(w, kw, stride, pad, "down")];
    const uniforms = { images, c, h, w, o, oh, ow, kh, kw, stride, pad, groups };
    const buffers = {
      x: randomArray([c, h, w, images], 1),
      w: randomArray([o, c / groups, kh, kw], 2),
      b: randomArray([o], 3),
      y: o * oh * ow * images,
    };
    const title = `${c} × ${h} × ${w} × ${images}, ${o} filters of ${kh} × ${kw}`;
    cases.push({ kernel: rung as unknown as Kernel, title, buffers, uniforms, tolerance: TOLERANCE });
  }
}

test.each([...matmulLadder, ...convLadder].map((rung) => [rung.name, rung.wgsl] as const))(
  "%s is the kernel of its file",
  async (name, wgsl) => {
    expect(wgsl).toBe(await Bun.file(new URL(`../../bench/ladder/${name}.wgsl`, import.meta.url)).text());
    expect(/@compute\b[^{]*?\bfn\s+(\w+)/.exec(wgsl)?.[1]).toBe(name);
  },
);

describeBackends(
  "ladder",
  ({ open }) => {
    test.each(cases.map((each) => [each.kernel.name, each.title, each] as const))("%s %s", async (name, _, each) => {
      const [expected] = (await runCase(openReference("f64"), each)).values();
      const [actual] = (await runCase(await open(), each)).values();
      expectClose(name, actual!, expected!, each.tolerance);
    });
  },
  ["wgpu"],
);
