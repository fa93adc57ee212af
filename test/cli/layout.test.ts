/** Text for terminals of several widths. */
import { describe, expect, test } from "bun:test";
import { fittingTable, table, tableOrList, widthsFor } from "../../src/cli/layout.ts";
import { helpText } from "../../src/cli/help.ts";
import { fitted, inFull } from "../../src/cli/progress.ts";
import { TRAIN_OPTIONS } from "../../src/runs/train_options.ts";
import { count, flag, text } from "../../src/schema.ts";

/** Calls `work` as at a terminal of so many columns. */
function at<T>(columns: number, work: () => T): T {
  const { stdout } = process;
  const [isTTY, width] = [stdout.isTTY, stdout.columns];
  try {
    Object.assign(stdout, { isTTY: true, columns });
    return work();
  } finally {
    Object.assign(stdout, { isTTY, columns: width });
  }
}

const widest = (lines: string) => Math.max(...lines.split("\n").map((line) => Bun.stringWidth(line)));

describe("progress", () => {
  const step = {
    label: "epoch 3/20",
    share: 0.456,
    facts: ["2 min 03 s left", "accuracy 61.8%", "loss 1.234", "1,234 images/s"],
  };

  test("the bar and all that has room, at any width", () => {
    for (let columns = 8; columns <= 200; columns++)
      expect(Bun.stringWidth(fitted(step, columns))).toBeLessThanOrEqual(columns);
    expect(fitted(step, 40)).toBe("epoch 3/20 ━━━╸────  45%");
    expect(fitted(step, 41)).toBe("epoch 3/20 ━━━╸────  45%  2 min 03 s left");
    expect(fitted(step, 60)).toBe("epoch 3/20 ━━━╸────  45%  2 min 03 s left  accuracy 61.8%");
    expect(fitted(step, 200)).toBe(
      "epoch 3/20 ━━━━━━━━━━╸─────────────  45%  2 min 03 s left  accuracy 61.8%  loss 1.234  1,234 images/s",
    );
  });

  test("from nothing to all, and what has no share", () => {
    expect(fitted({ label: "a", share: 0 }, 20)).toBe("a ────────   0%");
    expect(fitted({ label: "a", share: 1 }, 20)).toBe("a ━━━━━━━━ 100%");
    expect(fitted({ label: "evaluating the second of three", share: 0.5 }, 12)).toBe("50% evaluat…");
    expect(fitted({ label: "拡大" }, 3)).toBe("拡…");
  });

  test("without a terminal: words alone", () => {
    expect(inFull(step)).toBe("epoch 3/20: 45%, 2 min 03 s left, accuracy 61.8%, loss 1.234, 1,234 images/s");
    expect(inFull({ label: "reading" })).toBe("reading");
  });
});

describe("tables", () => {
  const rows = [
    ["gpu:0", "A long name of an adapter", "software", ""],
    ["cpu", "2 threads", "", "default"],
  ];

  test("a list where there is no room", () => {
    expect(at(80, () => tableOrList(rows))).toBe(table(rows));
    expect(at(30, () => tableOrList(rows))).toBe(
      "gpu:0\n  A long name of an adapter,\n  software\ncpu\n  2 threads, default",
    );
  });

  test("columns are left out in the order that is said", () => {
    const numbers = [
      ["name", "b", "c", "d"],
      ["x", "1,000", "2,000", "3,000"],
    ];
    const lines = (columns: number) => at(columns, () => fittingTable(numbers, [1, 2, 3], [3, 1])).split("\n");
    expect(lines(25)).toEqual(["name      b      c      d", "x     1,000  2,000  3,000"]);
    expect(lines(24)).toEqual(["name      b      c", "x     1,000  2,000"]);
    expect(lines(17)).toEqual(["name      c", "x     2,000"]);
    // What is left when nothing is spare.
    expect(lines(3)).toEqual(lines(17));
  });

  test("bars shrink before names do", () => {
    expect(at(80, () => widthsFor(["short"], 12, 24))).toEqual({ bar: 24, name: 44 });
    expect(at(40, () => widthsFor(["x".repeat(15)], 12, 24))).toEqual({ bar: 13, name: 15 });
    expect(at(40, () => widthsFor(["x".repeat(50)], 12, 24))).toEqual({ bar: 6, name: 22 });
  });
});

describe("help", () => {
  const schema = {
    data: text("The images", { place: "word", needed: true }),
    top: count("How many classes to name, of all that there are (5)", { hint: "N" }),
    resume: text("A run", { bare: "latest", hint: "RUN" }),
    all: flag("All of it"),
    hidden: text(),
  };

  test("names beside what they are for", () => {
    expect(Bun.stripANSI(at(56, () => helpText("bun run x", "Does it", schema)))).toBe(
      `Does it

Usage: bun run x [options] DATA

  DATA  The images

Options:
  --top N         How many classes to name, of all that
                  there are (5)
  --resume [RUN]  A run
  --all           All of it`,
    );
  });

  test.each([40, 55, 60, 80, 100, 200])("all of train's options in %d columns", (columns) => {
    const shown = at(columns, () => helpText("train", "Train", TRAIN_OPTIONS));
    expect(widest(shown)).toBeLessThanOrEqual(Math.min(100, columns));
    for (const flag of ["--loss-weights", "--allow-changed-data"]) expect(shown).toContain(flag);
  });
});
