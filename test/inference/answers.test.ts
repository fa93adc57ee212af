/** Ranks, scores, intervals and tables, against numbers that were worked out by hand. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Answers, examplesOf, interval95 } from "../../src/inference/answers.ts";
import { mostProbable } from "../../src/inference/most_probable.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { means } from "../../src/inference/scores.ts";
import { csvLine, writeCsv } from "../../src/io/csv.ts";
import { temporaryFolder } from "../support/folders.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

describe("95% intervals", () => {
  // The first three are those of Newcombe, Statistics in Medicine 17 (1998), table I, to four digits.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [1, 29, 0.0061, 0.1718],
    [0, 20, 0, 0.1611],
    [20, 20, 0.8389, 1],
  ])("%d of %d", (wrong, images, low, high) => {
    const found = interval95(wrong, images);
    expect(found[0]).toBeCloseTo(low, 4);
    expect(found[1]).toBeCloseTo(high, 4);
  });

  test("lie around the rate, and are narrower the more images there are", () => {
    const widths = [10, 100, 1000, 10_000].map((images) => {
      const [low, high] = interval95(images / 5, images);
      expect(low).toBeLessThan(0.2);
      expect(high).toBeGreaterThan(0.2);
      return high - low;
    });
    expect(widths).toEqual(widths.toSorted((a, b) => b - a));
  });
});

describe("answers", () => {
  test("the most probable classes in order; of equals the first", () => {
    expect(mostProbable(Float64Array.of(0.1, 0.3, 0.05, 0.3, 0.25), 3)).toEqual([1, 3, 4]);
    expect(mostProbable(Float64Array.of(0.5, 0.5), 5)).toEqual([0, 1]);
  });

  describe("examples", () => {
    const set = { nameOf: (i: number) => `photo ${i}` } as Dataset;
    /** Two classes: `surely` is the probability of class 0. */
    const examples = (images: readonly (readonly [label: number, surely: number])[]) => {
      const answers = new Answers(2, images.length);
      for (const [i, [label, p]] of images.entries()) answers.add(i, label, Float64Array.of(p, 1 - p));
      return examplesOf(answers, set);
    };

    test("the most confident mistakes first, then right answers from all over the set", () => {
      const found = examples([[0, 0.9], [1, 0.75], [0, 0.125], [1, 0.75], [1, 0.25]]); // prettier-ignore
      expect(found.map(({ image }) => image)).toEqual(["photo 2", "photo 1", "photo 3", "photo 0", "photo 4"]);
      expect(found[0]).toEqual({ image: "photo 2", label: 0, predicted: 1, probability: 0.875 });
    });

    test("at most twelve: of many of both kinds, a third is right", () => {
      const many = examples(Array.from({ length: 60 }, (_, i) => [i % 2, 0.6]));
      expect(many.map(({ label, predicted }) => label === predicted)).toEqual([...Array(8).fill(false), ...Array(4).fill(true)]); // prettier-ignore
      expect(many.slice(8).map(({ image }) => image)).toEqual(["photo 6", "photo 22", "photo 36", "photo 52"]);
      expect(examples(Array.from({ length: 60 }, () => [1, 0.6]))).toHaveLength(12);
      expect(examples(Array.from({ length: 60 }, () => [0, 0.6]))).toHaveLength(12);
    });
  });

  test("rank, loss, scores by class, and how many were taken for which", () => {
    const answers = new Answers(3, 4);
    answers.add(10, 0, Float64Array.of(0.5, 0.25, 0.25));
    answers.add(11, 1, Float64Array.of(0.5, 0.25, 0.25));
    answers.add(12, 2, Float64Array.of(0.5, 0.25, 0.25));
    answers.add(13, 2, Float64Array.of(0.125, 0.125, 0.75));
    expect(answers.length).toBe(4);
    expect([0, 1, 2, 3].map((i) => answers.at(i).rank)).toEqual([0, 1, 2, 0]);
    expect(answers.at(1)).toEqual({
      ...{ index: 11, label: 1, rank: 1, loss: Math.log(4) },
      best: [0, 1, 2].map((label) => ({ label, probability: label === 0 ? 0.5 : 0.25 })),
    });
    const { total, byClass, predicted } = answers.scores(3);
    expect(total).toMatchObject({ images: 4, wrong1: 2, wrong5: 0 });
    expect(means(total).loss).toBeCloseTo((Math.log(2) + 2 * Math.log(4) - Math.log(0.75)) / 4, 12);
    expect(byClass.map(({ images, wrong1 }) => [images, wrong1])).toEqual([[1, 0], [1, 1], [2, 1]]); // prettier-ignore
    expect([...predicted]).toEqual([3, 0, 1]);
    expect([...answers.worst()]).toEqual([1, 2]);
  });

  test("a probability of nothing is a loss that can still be added", () => {
    const answers = new Answers(2, 1);
    answers.add(0, 0, Float64Array.of(0, 1));
    expect(answers.at(0).loss).toBeCloseTo(744.44, 2);
  });
});

describe("CSV", () => {
  test("quotes where they are needed; numbers of seven digits; nothing for what is not there", () => {
    expect(csvLine(["a", "b,c", 'say "no"', " x", "line\nend", 3, 1 / 3, undefined])).toBe(
      `a,"b,c","say ""no"""," x",line\\u{a}end,3,0.3333333,\n`,
    );
  });

  test("runs nothing in a spreadsheet, and shows what can't be seen", () => {
    const formulas = ["=cmd()", "+1", "-1", "@x", " =1", "\t=1", "\uff1dcmd"];
    expect(formulas.map((cell) => csvLine([cell]))).toEqual([
      "'=cmd()\n", "'+1\n", "'-1\n", "'@x\n", `' =1\n`, "\\u{9}=1\n", "'\uff1dcmd\n",
    ]); // prettier-ignore
    expect(csvLine(["gnp.\u202ecat", "\x1b[31m", "a\u200db", -1])).toBe("gnp.\\u{202e}cat,\\u{1b}[31m,a\u200db,-1\n");
  });

  test("any number of rows", async () => {
    const path = join(folder.path, "rows.csv");
    await writeCsv(path, ["row"], Array(2501).keys().map((n) => [n])); // prettier-ignore
    const lines = readFileSync(path, "utf8").split("\n");
    expect([lines.length, lines[0], lines[1], lines[2501], lines[2502]]).toEqual([2503, "row", "0", "2500", ""]);
  });
});
