/** The figures in the documents. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { stepTable } from "../../bench/step_table.ts";
import { modelPage, pages, summary, tables, withFigures } from "../../bench/table.ts";
import { results, row } from "../support/toy.ts";

const images = (contestant: string, device: string, ms: readonly number[], name = "alexnet training, batch 128") =>
  row(ms, { suite: "step", name, contestant, device, work: { unit: "image", amount: 128 } });

const file = results([
  images("alexnet.ts", "cpu:blas", [4000, 5000, 6000]),
  images("alexnet.ts", "cpu:wasm", [8000]),
  images("PyTorch 2.15.0", "cpu", [8000, 10_000]),
  // Against ours in WebAssembly, not against ours with BLAS.
  images("peer", "cpu:wasm", [16_000]),
  images("alexnet.ts", "cpu:blas", [1000], "alexnet forward, batch 128"),
  row([1], { suite: "matmul", name: "512×512×512", contestant: "matmul_1_naive" }),
]);

test("a line for each contestant, ours first, and how many times as fast ours is", () => {
  const { machine } = file;
  const more = results([
    images("PyTorch 2.15.0", "cpu", [200], "alexnet-owt training, batch 128"),
    images("alexnet.ts", "cpu:blas", [100], "alexnet-owt training, batch 128"),
    row([500], { suite: "predict", name: "a photo", contestant: "alexnet.ts", device: "cpu:blas" }),
  ]);
  const files = new Map([
    ["a.json", file],
    ["b.json", { ...more, machine: { ...machine, dirty: true, openblas: "" } }],
    ["c.json", { ...results([]), machine: { ...machine, openblas: "OPENBLAS_CORETYPE=Haswell" } }],
  ]);
  expect(tables(files)).toBe(
    [
      "Images a second, best of a run (and median); training, batch 128:",
      "",
      "|                      | alexnet                 | alexnet-owt           |",
      "| -------------------- | ----------------------- | --------------------- |",
      "| alexnet.ts, cpu:blas | 32.0 (25.6)             | 1,280 (1,280)         |",
      "| alexnet.ts, cpu:wasm | 16.0 (16.0)             |                       |",
      "| PyTorch 2.15.0, cpu  | 16.0 (14.2); ours 2.00× | 640 (640); ours 2.00× |",
      "| peer, cpu:wasm       | 8.00 (8.00); ours 2.00× |                       |",
      "",
      "Images a second, best of a run (and median); forward, batch 128:",
      "",
      "|                      | alexnet   |",
      "| -------------------- | --------- |",
      "| alexnet.ts, cpu:blas | 128 (128) |",
      "",
      "One photo, best of a run (and median):",
      "",
      "|                      | a photo         |",
      "| -------------------- | --------------- |",
      "| alexnet.ts, cpu:blas | 500 ms (500 ms) |",
      "",
      "- `bench/results/a.json`: 2 × Test, linux x64, 6, Bun 1.4.5, 2026-11-24, commit abc1234",
      "- `bench/results/b.json`: 2 × Test, linux x64, 6, Bun 1.4.5, 2026-11-24, commit abc1234 with changes, OPENBLAS_CORETYPE not set",
      "- `bench/results/c.json`: 2 × Test, linux x64, 6, Bun 1.4.5, 2026-11-24, commit abc1234, OPENBLAS_CORETYPE=Haswell",
    ].join("\n"),
  );
  expect(tables(new Map())).toBe("No results yet.");
});

test("a line for what most people want to know, ours beside PyTorch's", () => {
  const more = results([
    images("alexnet.ts", "cpu:blas", [1000], "alexnet forward, batch 128"),
    images("PyTorch 2.15.0", "cpu", [2500], "alexnet forward, batch 128"),
    images("PyTorch 2.15.0, torch.compile", "cpu", [2000], "alexnet forward, batch 128"),
  ]);
  expect(summary(new Map([["a.json", { ...file, rows: [...file.rows.slice(0, 3), ...more.rows] }]]))).toBe(
    [
      "- Training `alexnet`, batches of 128: 32.0 images/s, PyTorch 16.0 (2.0×)",
      "- Its forward pass: 128 images/s, PyTorch (torch.compile) 64.0 (2.0×)",
    ].join("\n"),
  );
  expect(summary(new Map())).toBe("No results yet.");
});

test("a step's layers are added up by kind, with a column for each network and device", () => {
  const part = (name: string, device: string, share: number, ms = 1) => ({
    ...row([ms], { suite: "layers", name: `cifar10-18pct ${name}, batch 128`, contestant: "alexnet.ts", device }),
    share,
  });
  const file = results([
    part("augment", "cpu:blas", 0.02),
    part("conv1 forward", "cpu:blas", 0.2),
    part("conv1 backward", "cpu:blas", 0.25),
    part("conv2 forward", "cpu:blas", 0.3),
    part("max-pool after conv1 forward", "cpu:blas", 0.1),
    part("update", "cpu:blas", 0.03),
    part("whole step", "cpu:blas", 1, 1234),
    part("conv1 forward", "cpu:wasm", 0.9),
    part("whole step", "cpu:wasm", 1, 2000),
  ]);
  const columns = stepTable([file])
    .split("\n")
    .map((line) =>
      line
        .split("|")
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
  expect(columns.filter((_, i) => i !== 1)).toEqual([
    ["", "cifar10-18pct, batch 128, cpu:blas", "cifar10-18pct, batch 128, cpu:wasm"],
    ["whole step", "1.23 s", "2.00 s"],
    ["convolutions", "75%", "90%"],
    ["pooling", "10%", ""],
    ["augmentation, loss, update", "5.0%", ""],
  ]);
});

test("only what stands between the marks changes", () => {
  const page = (text: string) => `before\n\n<!-- bench:begin -->${text}<!-- bench:end -->\n\nafter\n`;
  const figures = { file: "docs/x.md", name: "bench", text: tables(new Map()) };
  const changed = withFigures(page("\nold\n"), figures);
  expect(changed).toBe(page("\n\nNo results yet.\n\n"));
  expect(withFigures(changed, figures)).toBe(changed);
  expect(() => withFigures("none", figures)).toThrow(
    "docs/x.md: the lines <!-- bench:begin --> and <!-- bench:end --> are missing",
  );
});

test.each(pages().map((page) => [page.file, page] as const))(
  "%s is up to date with bench/results: else run bun bench/table.ts",
  (file, page) => {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
    expect(withFigures(text, page)).toBe(text);
  },
);

test("docs/benchmarks.md has the model of the kernels as they are: else run bun bench/table.ts", async () => {
  const page = await modelPage();
  const text = readFileSync(new URL(`../../${page.file}`, import.meta.url), "utf8");
  expect(withFigures(text, page)).toBe(text);
});
