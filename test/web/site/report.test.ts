/** The report that visitors copy. */
import { expect, test } from "bun:test";
import { kernelWords, nameOf, reportJson, reportMarkdown, type Report } from "../../../src/web/site/gpu/report.ts";
import { row } from "../../support/toy.ts";

const report: Report = {
  ...{
    format: 1,
    version: "0.1.0",
    date: "2026-11-30T10:00:00.000Z",
    browser: "Some/1.0",
    system: "Linux",
    threads: 8,
  },
  facts: {
    ...{ kind: "webgpu", description: "webgpu" },
    adapter: { vendor: "maker", architecture: "gen-7", device: "", description: "" },
    limits: { maxBufferSize: 268_435_456, maxTextureDimension1D: 8192 },
    features: ["shader-f16", "texture-compression-bc", "timestamp-query"],
  },
  kernels: [{ name: "relu_forward" }, { name: "sgd", wrong: "size 65: w[3] is 1 instead of 2" }],
  ...{ cases: 20, checkSeconds: 12.4 },
  roof: { flopsPerSecond: 5.25e12, bytesPerSecond: 4e11, how: "registers" },
  rows: [row([10, 12], { contestant: "linear_forward_128x128", ofRoof: 0.51 })],
  skipped: [{ suite: "matmul", name: "4096×4096×4096", contestant: "linear", device: "webgpu", reason: "takes long" }],
};

test("Markdown names the device, the wrong kernels, and each time", () => {
  const text = reportMarkdown(report);
  expect(text).toStartWith("### `maker gen-7`, WebGPU\n\n- alexnet 0.1.0, 2026-11-30T10:00:00.000Z\n");
  expect(text).toContain("- features: `shader-f16`, `timestamp-query`\n- maxBufferSize: 268435456\n");
  expect(text).not.toContain("maxTextureDimension1D");
  expect(text).toContain(
    "**2 kernels, variants included, at 20 sizes: 1 WRONG, in 12 s**\n- `sgd`: size 65: w[3] is 1 instead of 2",
  );
  expect(text).toContain("Roof: 5,250 GFLOP/s in registers, 400 GB/s copied");
  expect(text).toMatch(/\n\| .* \| linear_forward_128x128 \| 10\.0 ms \| 100 GFLOP\/s \| 51% \|\n/);
  expect(text).toContain("- 4096×4096×4096, linear: takes long");
  expect(text).not.toContain("Ended early");
});

test("a report that ended early says so, and one without a GPU why", () => {
  const text = reportMarkdown({
    ...{ ...report, failure: "checking sgd: the device was lost", kernels: [], rows: [], skipped: [] },
    facts: { kind: "webassembly", description: "WebAssembly, 1 thread", noGpu: "no adapter" },
  });
  expect(text).toStartWith("### `WebAssembly, 1 thread`, WebAssembly\n");
  expect(text).toContain("- no GPU: no adapter");
  expect(text).toContain("**Kernels were not checked**");
  expect(text).toEndWith("**Ended early:** checking sgd: the device was lost\n");
});

test("what the browser says can't become markup", () => {
  const facts = { ...report.facts, adapter: { description: "a` <b>\n# x" } };
  const text = reportMarkdown({ ...report, facts, browser: "`\n![x](http://y)" });
  expect(text).toStartWith("### `a' <b> # x`, WebGPU\n");
  expect(text).toContain("- browser: `' ![x](http://y)`\n");
});

test("the device has the best name that there is", () => {
  const name = (adapter: Record<string, string>) => nameOf({ ...report.facts, adapter });
  expect(name({ description: "Big GPU", vendor: "maker" })).toBe("Big GPU");
  expect(name({ vendor: "maker", architecture: "gen-7", device: "0x12" })).toBe("maker 0x12");
  expect(name({ vendor: "", architecture: "", device: "", description: "" })).toBe("webgpu");
});

test("JSON has everything but the samples", () => {
  const read = JSON.parse(reportJson(report));
  expect(read).toMatchObject({ format: 1, kernels: report.kernels, facts: report.facts, skipped: report.skipped });
  expect(read.rows[0].ms).toEqual({ best: 10, median: 11, count: 2 });
  expect(read.rows[0].ofRoof).toBe(0.51);
});

test("all correct", () => {
  const kernels = report.kernels.slice(0, 1);
  expect(kernelWords({ ...report, kernels })).toBe("1 kernel, variants included, at 20 sizes: correct, in 12 s");
});
