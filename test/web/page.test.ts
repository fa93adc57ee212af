/** Devices in a web page: what runs there imports nothing of Bun's, and computes the same as elsewhere. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { CHROMIUM, isChromiumRequired, openPage, type Page } from "../support/chromium.ts";
import type { Checks } from "./checks.ts";
import { bundle, serve, type Site } from "./pages.ts";

const root = new URL("../../", import.meta.url);

// Far more than it takes, for busy machines.
setDefaultTimeout(300_000);

describe("what pages use knows neither Bun nor Node", () => {
  const files = ["src/web/**/{device,worker}.ts", "test/web/checks.ts"];
  const entries = files.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(root.pathname)]);

  test("all of it", async () => {
    const { texts, foreign } = await bundle(...entries.map((entry) => new URL(entry, root)));
    expect(foreign).toEqual([]);
    expect(texts).toHaveLength(entries.length);
    expect(entries).toContain("src/web/device.ts");
  });

  test("the test would notice", async () => {
    const { foreign } = await bundle(new URL("src/io/temporary.ts", root));
    expect(foreign.join()).toContain("node:fs");
  });
});

/** Kernels of several kinds. */
const SOME = ["accumulate", "adamw", "max_pool_backward", "batch_norm_statistics", "softmax_forward"];

const reason = CHROMIUM || isChromiumRequired ? "" : " (skipped: there is no chromium)";

describe.skipIf(reason !== "")(`in Chromium${reason}`, () => {
  let site: Site;
  let page: Page;
  beforeAll(async () => {
    site = serve((await bundle(new URL("checks.ts", import.meta.url))).texts[0]!);
    page = await openPage(site.url);
  });
  afterAll(async () => {
    await page?.[Symbol.asyncDispose]();
    site?.[Symbol.dispose]();
  });
  const ask = <K extends keyof Checks>(
    check: K,
    ...given: Parameters<Checks[K]>
  ): Promise<Awaited<ReturnType<Checks[K]>>> => page.evaluate(`checks.${check}(...${JSON.stringify(given)})`);

  test("WebAssembly needs no isolation from other sites, which would give a page shared memory", async () => {
    expect(await page.evaluate<boolean>("crossOriginIsolated")).toBe(false);
    expect(await ask("describe", "webassembly")).toEqual({
      kind: "cpu",
      description: "1 thread, WebAssembly without BLAS",
    });
  });

  test("by itself it takes WebAssembly where WebGPU is only software", async () => {
    expect(await ask("describe", "webgpu")).toMatchObject({ kind: "webgpu" });
    expect(await ask("describe", "auto")).toMatchObject({ kind: "cpu" });
  });

  test("every kernel on WebAssembly", async () => {
    const { words, kernels } = await ask("kernels", "webassembly", "one");
    expect(words).toBeUndefined();
    expect(kernels).toBeGreaterThan(50);
  });

  // All of them take minutes on a software GPU: test/portability/browser.ts.
  test("some kernels on WebGPU", async () => {
    const { words, kernels } = await ask("kernels", "webgpu", "one", SOME);
    expect(words).toBeUndefined();
    expect(kernels).toBe(SOME.length);
  });

  test("training is the same on both, and allocates nothing from the second step on", async () => {
    const sizes = { train: 16, val: 10, epochs: 3, batch: 16 };
    const [cpu, gpu] = [
      await ask("training", "webassembly", "linear", sizes),
      await ask("training", "webgpu", "linear", sizes),
    ];
    expect(cpu.losses).toHaveLength(3);
    expect(cpu.losses[2]!).toBeLessThan(cpu.losses[0]!);
    for (const [step, loss] of gpu.losses.entries()) expect(loss).toBeCloseTo(cpu.losses[step]!, 3);
    for (const { memory } of [cpu, gpu]) expect(memory[1]).toEqual(memory[0]);
  });

  test("tuning takes the faster variant from then on", async () => {
    expect(await ask("tuning")).toEqual([1, 2]);
  });

  test("the page goes on while WebAssembly computes on its thread", async () => {
    expect(await ask("alive", "webassembly")).toBeGreaterThan(3);
  });

  test("what fails on WebGPU is said in a line", async () => {
    const said = await ask("failures");
    expect(said.readNow).toBe(
      "DeviceError: WebGPU can't wait in the middle of a page's work: await read() instead of readNow()",
    );
    // Chromium's own words, with the line and column.
    expect(said.wgsl).toMatch(/^DeviceError: .*: kernel broken: .*\b1:12\b/);
    expect(said.memory).toMatch(
      /^DeviceMemoryError: .*: a buffer of 4096\.00 GiB is larger than the device allows .*: use a smaller batch$/,
    );
    expect(said.same).toBe(
      "DeviceError: kernel accumulate, buffer y: the same buffer is passed twice and written, which WebGPU forbids",
    );
    expect(said.write).toBe("DeviceError: write: elements 0 to 5 are outside of a buffer of 4");
    expect(said.alive).toBe("1,2,3,4");
    expect(said.profile).toBe("accumulate true");
    expect(said.lost).toMatch(/^DeviceLostError: .*: the device is lost \(driver reset, .*\)/);
    expect(said["lost later"]).toBe(said.lost!);
    expect(said.closed).toMatch(/^DeviceError: .*: used after it was closed$/);
    expect(page.console).toEqual([]);
  });
});
