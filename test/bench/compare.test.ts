/** What counts as a change against an earlier run. */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { compare, comparisonText, noiseFloor } from "../../bench/compare.ts";
import { readResults, writeResults } from "../../bench/results_file.ts";
import { temporaryFolder } from "../support/folders.ts";
import { results, row } from "../support/toy.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

const QUIET = [10, 10.01, 10.02, 10.01, 10, 10.03, 10.02, 10.01];
/** The best is seldom met: halves of these differ by up to a third. */
const NOISY = [10, 14, 13, 15, 13.5, 14.5, 16, 13.2];
const scaled = (samples: readonly number[], factor: number) => samples.map((ms) => ms * factor);

describe("verdicts", () => {
  const verdict = (before: readonly number[], now: readonly number[]) =>
    compare(results([row(now)]), results([row(before)])).changes[0]!.verdict;

  test("beyond the noise: faster, slower", () => {
    expect(verdict(QUIET, scaled(QUIET, 0.9))).toBe("faster");
    expect(verdict(QUIET, scaled(QUIET, 1.1))).toBe("slower");
  });

  test("within the noise there is no difference", () => {
    expect(verdict(QUIET, QUIET)).toBe("no difference");
    // Less than what differs from process to process.
    expect(verdict(QUIET, scaled(QUIET, 1.015))).toBe("no difference");
    // What is a change for a quiet row is none for a noisy one, whichever of the two runs was noisy.
    expect(verdict(NOISY, scaled(NOISY, 1.1))).toBe("no difference");
    expect(verdict(QUIET, scaled(NOISY, 1.1))).toBe("no difference");
    expect(verdict(NOISY, scaled(QUIET, 1.1))).toBe("no difference");
    expect(verdict(NOISY, scaled(NOISY, 2))).toBe("slower");
  });

  test("a row of few samples is no quieter than its suite", () => {
    const noisy = [1, 2, 3].map((batch) => ({ name: `conv1 forward, batch ${batch}` }));
    const one = (factor: number) =>
      results(
        [row([10, 10], { name: "lucky" }), ...noisy.map((name) => row(NOISY, name))].map((each) =>
          each.name === "lucky" ? row(scaled(each.ms.samples, factor), { name: "lucky" }) : each,
        ),
      );
    expect(compare(one(1.1), one(1)).changes.find(({ now }) => now.name === "lucky")!.verdict).toBe("no difference");
  });
});

test("the noise floor: nothing for equal samples, more for noisier ones, the same each time", () => {
  expect(noiseFloor([5, 5, 5, 5, 5])).toBe(0);
  expect(noiseFloor(QUIET)).toBeWithin(0.0005, 0.003);
  expect(noiseFloor(NOISY)).toBeWithin(0.2, 0.5);
  expect(noiseFloor(NOISY)).toBe(noiseFloor(NOISY));
  expect(noiseFloor([10, 12])).toBeCloseTo(0.2);
});

describe("what can't be compared is named", () => {
  test("another machine, system, device; the rest is compared", () => {
    const now = results([row(QUIET)]);
    const before = results([row(scaled(QUIET, 2))], {
      machine: { ...now.machine, processor: "64 × Other", bun: "1.5.0" },
      devices: [{ device: "cpu:blas", description: "64 threads, OpenBLAS" }],
    });
    const text = comparisonText(compare(now, before), "old.json");
    expect(text.split("\n")[0]).toBe(
      "old.json is of another machine: 64 × Other, now 2 × Test; of another version of Bun: 1.5.0, now 1.4.5; " +
        "of another cpu:blas: 64 threads, OpenBLAS, now 2 threads, OpenBLAS: what both have is compared anyway",
    );
    expect(text).toContain("0.50×");
    expect(text).toContain("1 faster, 0 slower, 0 without a difference");
  });

  test("rows in one run only, and of other work; suites not run are left out", () => {
    const now = results([
      row(QUIET),
      row(QUIET, { name: "new" }),
      row(QUIET, { name: "grown", work: { unit: "flop", amount: 2 } }),
    ]);
    const before = results([
      ...[row(QUIET), row(QUIET, { name: "old" }), row(QUIET, { name: "grown" }), row(QUIET, { suite: "pool" })],
    ]);
    const { changes, missing } = compare(now, before);
    expect(changes.map((change) => change.now.name)).toEqual(["conv1 forward, batch 128"]);
    expect(missing.map(({ row: { name }, only }) => `${name} ${only}`)).toEqual([
      "new now",
      "grown now",
      "old before",
      "grown before",
    ]);
    expect(comparisonText(compare(now, results([])), "old.json")).toBe("old.json has nothing in common with this run");
  });
});

describe("files", () => {
  const path = join(folder.path, "results.json");
  const readText = (text: string) => {
    writeFileSync(path, text);
    return () => readResults(path);
  };

  test("what is written is read back, a row a line", async () => {
    const written = results([row(QUIET), row(NOISY, { name: "other", ofRoof: 0.5, kernels: ["a", "b"] })]);
    await writeResults(path, written);
    expect(readResults(path)).toEqual(written);
    const text = await Bun.file(path).text();
    expect(text.split("\n").filter((line) => line.includes('"suite"')).length).toBe(2);
  });

  test("missing, damaged, foreign, of another format: one clear error", () => {
    expect(() => readResults(join(folder.path, "none.json"))).toThrow(
      /^can't read the results .*none\.json: no such file or folder$/,
    );
    expect(readText("{")).toThrow(/results\.json is not a results file: /);
    for (const text of [
      "[]",
      "null",
      '{"a": 1}',
      '{"format": 1, "machine": {}, "devices": [], "rows": [{}], "skipped": []}',
    ]) {
      expect(readText(text)).toThrow(/results\.json is not a results file: it lacks /);
    }
    expect(readText(JSON.stringify(results([{ ...row(QUIET), ms: { ...row(QUIET).ms, samples: [] } }])))).toThrow(
      "not a results file",
    );
    expect(readText('{"format": 2}')).toThrow("has format 2, but this program reads 1");
  });
});
