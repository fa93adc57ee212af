/** What parameters begin with. */
import { describe, expect, test } from "bun:test";
import type { ParameterOptions } from "../../../src/engine/later/initial.ts";
import { Parameter } from "../../../src/engine/parameter.ts";
import { openReference } from "../../../src/engine/reference.ts";
import { any, testRefusals, type Refusal } from "../../support/refusals.ts";

const backend = openReference();
const SHAPE = [40, 10, 5, 5];

async function values(options: ParameterOptions, name = "conv.weight"): Promise<number[]> {
  return Array.from(await new Parameter(backend, name, SHAPE, options).read());
}

const mean = (of: readonly number[]) => of.reduce((sum, value) => sum + value, 0) / of.length;
const deviation = (of: readonly number[]) => Math.sqrt(mean(of.map((value) => value ** 2)) - mean(of) ** 2);

describe("a parameter begins with", () => {
  test("normal values", async () => {
    const drawn = await values({ init: { normal: 0.5 } });
    expect(mean(drawn)).toBeWithin(-0.02, 0.02);
    expect(deviation(drawn)).toBeWithin(0.49, 0.51);
  });

  test("uniform values: none beyond the bound, and as wide as that", async () => {
    const drawn = await values({ init: { uniform: 0.5 } });
    expect(Math.max(...drawn.map(Math.abs))).toBeWithin(0.49, 0.5 + 1e-6);
    expect(deviation(drawn)).toBeWithin(0.28, 0.297);
  });

  test("a constant", async () => {
    expect(new Set(await values({ init: { constant: -2 } }))).toEqual(new Set([-2]));
  });

  test('"he": a variance of 2 ÷ 250 inputs', async () => {
    expect(deviation(await values({ init: "he" }))).toBeWithin(0.98 * Math.sqrt(2 / 250), 1.02 * Math.sqrt(2 / 250));
  });

  test("the same values for a seed and a name, others for another", async () => {
    const first = await values({ init: "he" });
    expect(await values({ init: "he", seed: 0 })).toEqual(first);
    expect(await values({ init: "he", seed: 1 })).not.toEqual(first);
    expect(await values({ init: "he" }, "fc.weight")).not.toEqual(first);
  });
});

const made = (options: unknown) => () => new Parameter(backend, "w", [2, 3], any(options));
const refusals: readonly Refusal<void>[] = [
  ['UsageError: w: there is no option "sigma"; there are init and seed', made({ sigma: 1 })],
  ['UsageError: w: init is "xavier", must be "he", { normal }, { uniform } or { constant }', made({ init: "xavier" })],
  [
    'UsageError: w: init is an Object, must be "he", { normal }, { uniform } or { constant }',
    made({ init: { sigma: 1 } }),
  ],
  ['UsageError: w: init is null, must be "he", { normal }, { uniform } or { constant }', made({ init: null })],
  ["ShapeError: w: normal is -1, must be a finite number, at least 0", made({ init: { normal: -1 } })],
  ["ShapeError: w: constant is NaN, must be a finite number", made({ init: { constant: NaN } })],
  ["ShapeError: w: seed is 0.5, must be a whole number, at least 0", made({ init: "he", seed: 0.5 })],
];
testRefusals(refusals, () => {});
