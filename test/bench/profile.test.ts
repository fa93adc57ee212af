/** `bun run bench profile`: parts in a limited time, what limits a kernel, PyTorch's outcome, and the page. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { namedLayers, type Task } from "../../bench/layer_piece.ts";
import { pretend } from "../../bench/model/calls.ts";
import { operandsOf } from "../../bench/pass.ts";
import { runProcess } from "../../bench/peers/run.ts";
import { assemble, hostMsOf, type Data, type HostCost, type KernelRow } from "../../bench/profile/document.ts";
import { profileKernels } from "../../bench/profile/kernels.ts";
import { profilePage } from "../../bench/profile/page.ts";
import { runParts, type Ended, type Part } from "../../bench/profile/plan.ts";
import { causeOf, kernelsByModel, problemsOf, stepLines, summaryOf } from "../../bench/profile/summary.ts";
import { findTorch, rowsOf, type Piece } from "../../bench/profile/torch.ts";
import { forcing, formsOf } from "../../bench/profile/variants.ts";
import { doWork } from "../../bench/profile/work.ts";
import { filesFor, writeProfile } from "../../bench/profile/write.ts";
import type { Device } from "../../bench/results.ts";
import { readResults } from "../../bench/results_file.ts";
import { conv } from "../../bench/suites/conv.ts";
import { conv2dForward } from "../../src/engine/ops/conv2d.ts";
import type { Kernel } from "../../src/engine/kernel.ts";
import { openReference } from "../../src/engine/reference.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { temporaryFolder } from "../support/folders.ts";
import { endOf } from "../support/processes.ts";
import { benchOn, ONCE, referenceDevice, results, row, toy } from "../support/toy.ts";

setDefaultTimeout(60_000);

describe("parts in a limited time", () => {
  /** Parts of some seconds each, by a clock that only they move. */
  function planOf(...lengths: readonly (number | Error)[]) {
    let ms = 0;
    const limits: number[] = [];
    const saved: Ended<string>[][] = [];
    const parts = lengths.map((length, i): Part<string> => ({
      ...{ name: `part ${i}`, about: "", leastMs: 1000, share: 0.5 },
      async run(limitMs) {
        limits.push(limitMs);
        if (length instanceof Error) throw length;
        const used = Math.min(1000 * length, limitMs);
        ms += used;
        return { data: `data ${i}`, problem: used < 1000 * length ? "stopped" : undefined };
      },
    }));
    const save = async (ended: readonly Ended<string>[]) => void saved.push([...ended]);
    return { parts, saved, limits, options: { limitMs: 10_000, save, now: () => ms } };
  }

  test("each gets its share, or what is left; without time they are skipped, and said so", async () => {
    const { parts, options, limits } = planOf(2, 9, 3, 1);
    const ended = await runParts(parts, options);
    expect(limits).toEqual([5000, 5000, 3000]);
    expect(ended.map(({ state, seconds }) => [state, seconds])).toEqual([
      ["done", 2],
      ["cut", 5],
      ["done", 3],
      ["skipped", 0],
    ]);
    expect(ended[1]).toMatchObject({ reason: "stopped", data: "data 1" });
    expect(ended[3]!.reason).toBe("it takes 1.0 s at least; 0.0 s of 10 s were left for it");
  });

  test("one that fails loses only itself", async () => {
    const { parts, options } = planOf(1, new Error("the device\nis lost"), 1);
    const ended = await runParts(parts, options);
    expect(ended.map(({ state }) => state)).toEqual(["done", "failed", "done"]);
    expect(ended[1]).toMatchObject({ reason: "the device is lost" });
    expect(ended[1]).not.toHaveProperty("data");
  });

  test("all so far is saved after each", async () => {
    const { parts, options, saved } = planOf(1, 1, 1);
    await runParts(parts, options);
    expect(saved.map((ended) => ended.map(({ name }) => name))).toEqual([
      ["part 0"],
      ["part 0", "part 1"],
      ["part 0", "part 1", "part 2"],
    ]);
  });
});

const device: Device = { device: "gpu:0", description: "Test GPU", adapter: "Test <GPU>" };
const roof = { flopsPerSecond: 1e12, bytesPerSecond: 1e11, how: "a kernel" };
const { machine } = results([]);
const host: HostCost = {
  ...{ model: "alexnet", batch: 128, kernels: 100, submissions: 2 },
  compiled: { count: 26, modules: 20, pipelines: 30 },
  ms: { upload: two(1), first: two(0.5), rest: two(1.5), end: two(0.1) },
};

function two(median: number) {
  return { best: median / 2, median };
}

function kernel(index: number, ms: number, flop: number, bytes: number): KernelRow {
  return {
    model: "alexnet",
    images: 128,
    index,
    part: `conv${index} forward`,
    kernel: `kernel_${index}`,
    ms,
    flop,
    bytes,
  };
}

/** At the arithmetic's limit, at the memory's, at its launch, and at nothing that is known. */
const kernels = [kernel(0, 2, 1e9, 1e6), kernel(1, 4, 1e9, 3e8), kernel(2, 0.02, 1e3, 1e3), kernel(3, 10, 1e9, 1e8)];
const training = row([10, 12], {
  ...{ suite: "step", name: "alexnet training, batch 128", contestant: "alexnet.ts", device: "gpu:0" },
  ...{ work: { unit: "image", amount: 128 }, clock: "wall" },
});

function ended(...all: readonly Data[]): Ended<Data>[] {
  return all.map((data, i) => ({ name: `part ${i}`, about: "", state: "done", seconds: 1, data }));
}

const whole = () =>
  assemble(
    { machine, device, minutes: 9 },
    ended({ device: { ...device, roof }, launchMs: 0.015 }, { rows: [training] }, { kernels }, torchData),
  );
const torchRow = (contestant: string, ms: number) =>
  row([ms], { ...training, ms: training.ms, contestant, device: "cuda" });
const torchData: Data = {
  rows: [
    { ...torchRow("PyTorch 2.15.0, Test GPU", 20), ms: { best: 20, median: 20, count: 1, samples: [20] } },
    { ...torchRow("PyTorch 2.15.0, TF32, Test GPU", 5), ms: { best: 5, median: 5, count: 1, samples: [5] } },
  ],
};

describe("what limits a kernel", () => {
  test("the bound that explains its time; none, where it takes far longer", () => {
    const profile = whole();
    expect(profile.profile.kernels.map(causeOf)).toEqual(["arithmetic", "memory", "launch", "other"]);
    expect(profile.profile.kernels.map(({ judgement }) => judgement!.reached)).toEqual([0.5, 0.75, 0.75, 0.1]);
    const [alexnet] = kernelsByModel(profile);
    expect(alexnet).toMatchObject({ model: "alexnet", ms: 16.02, stepMs: 10 });
    expect(alexnet!.shares.get("memory")).toBeCloseTo(4 / 16.02, 9);
    expect(alexnet!.shares.get("host")).toBe(0);
  });

  test("the host, where it takes longer to submit kernels than they take", () => {
    // 2 ms for 100 kernels.
    expect(hostMsOf(host)).toBe(0.02);
    const profile = assemble(
      { machine, device, minutes: 9 },
      ended({ device: { ...device, roof }, launchMs: 0.015, host }, { kernels }),
    );
    expect(profile.profile.kernels.map(causeOf)).toEqual(["arithmetic", "memory", "host", "other"]);
  });

  test("nothing is said of a device whose rates are not known", () => {
    const profile = assemble({ machine, device, minutes: 9 }, ended({ kernels }));
    expect(profile.profile.kernels[0]).not.toHaveProperty("judgement");
    expect(summaryOf(profile)).toStartWith("Test GPU: its rates were not measured");
  });
});

test("steps beside PyTorch's, with TF32 and without", () => {
  expect(stepLines(whole())).toMatchObject([
    { name: "alexnet training, batch 128", torch: { ms: { best: 20 } }, tf32: { ms: { best: 5 } } },
  ]);
  const text = Bun.stripANSI(summaryOf(whole()));
  expect(text).toContain("Test GPU: 1.00 TFLOP/s, 100 GB/s, 15.0 µs for a kernel that does nothing");
  expect(text).toMatch(/alexnet training, batch 128 +12,800 images\/s +2\.00× PyTorch +0\.50× with TF32/);
  expect(text).toContain("kernels take 16.0 ms of 10.0 ms, limited by arithmetic 12%, memory 25%, none of these 62%");
});

test("a process may be given what is left of the time, to a fraction of a millisecond", async () => {
  const ran = await runProcess([process.execPath, "-e", "process.stdout.write('done')"], {}, 60_000.5);
  expect(ran).toMatchObject({ output: "done" });
});

test("what the doctor found wrong", () => {
  const findings = [{ type: "machine" }, { type: "problem", what: "gpu:0: 2 kernels are wrong", remedy: "none" }];
  const profile = assemble({ machine, device, minutes: 9 }, ended({ findings }));
  expect(problemsOf(profile)).toEqual(["gpu:0: 2 kernels are wrong"]);
  expect(profilePage(profile).includes("The doctor found 1 problem:")).toBe(true);
});

describe("files", () => {
  test("what is cut leaves the parts before it readable, as a file of results and as a page", async () => {
    const { path, remove } = temporaryFolder();
    const files = filesFor(path, "NVIDIA H200 / PCIe (TM)");
    expect(files.json).toBe(join(path, "profile-nvidia-h200-pcie-tm.json"));
    const part = (name: string, data: Data): Part<Data> => ({
      ...{ name, about: "", leastMs: 0, share: 1 },
      run: async () => ({ data }),
    });
    const parts = [
      part("roofs", { device: { ...device, roof } }),
      part("steps", { rows: [training] }),
      part("kernels", { kernels }),
    ];
    const cut = runParts(parts, {
      limitMs: 60_000,
      save: (all) => writeProfile(files, assemble({ machine, device, minutes: 1 }, all)),
      begin({ name }) {
        if (name === "kernels") throw new Error("cut");
      },
    });
    expect(cut).rejects.toThrow("cut");
    await cut.catch(() => {});
    const read = readResults(files.json);
    expect(read.rows).toMatchObject([{ name: "alexnet training, batch 128" }]);
    expect(read.devices[0]!.roof).toEqual(roof);
    expect(JSON.parse(readFileSync(files.json, "utf8")).profile.parts.map(({ name }: Ended<Data>) => name)).toEqual([
      "roofs",
      "steps",
    ]);
    expect(readFileSync(files.page, "utf8").includes("<b>12,800</b>")).toBe(true);
    remove();
  });

  test("the page has everything, as text, and no scripts", () => {
    const skipped = { suite: "conv", name: "conv1 forward", contestant: "conv2d", device: "gpu:0", reason: "a > b" };
    const failed: Ended<Data> = { name: "loader", about: "", state: "failed", seconds: 2, reason: "<b>no files</b>" };
    const all = [
      ...ended({ device: { ...device, roof }, host }, { rows: [training], skipped: [skipped] }, { kernels }, torchData),
      failed,
    ];
    const page = profilePage(assemble({ machine, device, minutes: 9, note: "<i>busy</i>" }, all));
    const wanted = [
      "Test &#60;GPU&#62;",
      "What limits alexnet",
      "kernel_<wbr>3",
      "none of these",
      "26 in 50.0 ms, once",
      "PyTorch 2.15.0",
      "a &#62; b",
    ];
    expect(wanted.filter((words) => !page.includes(words))).toEqual([]);
    expect(page.match(/<b>no files|<i>busy|<script|https?:/g)).toBeNull();
  });
});

describe("PyTorch", () => {
  const piece: Piece = {
    suite: "step",
    nameOf: (result: string) => `alexnet ${result}, batch 128`,
    workOf: () => ({ unit: "image", amount: 128 }),
  };

  test("its results as rows; wrong ones have no time", () => {
    const version = "PyTorch 2.15.0+cu132, NVIDIA H200, CUDA 13.2, Python 3.11.7";
    const outcome = {
      version,
      results: [
        { name: "training", samples: [20, 22], losses: [7, 6] },
        { name: "training, TF32", samples: [10], losses: [7, 7] },
        // More than in single precision, and allowed.
        { name: "forward, TF32", samples: [5], error: 5e-3 },
        { name: "forward", samples: [6], error: 5e-3 },
      ],
    };
    const { rows, skipped, wrong } = rowsOf(outcome, piece, "cuda");
    expect(rows!.map(({ name, contestant, ms }) => [name, contestant, ms.best])).toEqual([
      ["alexnet training, batch 128", version, 20],
      ["alexnet forward, batch 128", "PyTorch 2.15.0+cu132, TF32, NVIDIA H200, CUDA 13.2, Python 3.11.7", 5],
    ]);
    expect(wrong!.map(({ name, reason }) => [name, reason])).toEqual([
      ["alexnet training, batch 128", "WRONG: training, TF32: the loss did not fall: 7, 7"],
      ["alexnet forward, batch 128", "WRONG: forward: its error is 0.005, at most 0.001 is allowed"],
    ]);
    expect(skipped).toEqual(wrong!);
    const cannot = { version, results: [{ name: "forward", cannot: "this PyTorch finds no CUDA device" }] };
    expect(rowsOf(cannot, piece, "cuda").skipped).toMatchObject([{ reason: "this PyTorch finds no CUDA device" }]);
  });

  test("the first Python that has it; otherwise what each lacks", () => {
    const has = (wanted: string) => (_: readonly string[], python?: string) =>
      python === wanted ? undefined : `${python} lacks torch`;
    expect(findTorch(["a", "python3"], has("python3"))).toEqual({ python: "python3" });
    expect(findTorch(["a", "a", "b"], has("c"))).toEqual({
      missing: "PyTorch was not found: a lacks torch; b lacks torch",
    });
  });
});

describe("every form of a kernel", () => {
  const gpu = { ...referenceDevice(), backend: pretend({ parallelWorkgroups: 64 }) };
  const forms = (label: string, pass: Task["pass"], images: number) => {
    const layer = namedLayers(findNetwork("alexnet")).find((each) => each.label === label)!;
    return formsOf({ layer, pass, images, operands: () => operandsOf(layer, images) }, gpu).map(
      ({ contestant }) => contestant,
    );
  };

  test("its own WGSL and each variant that fits", () => {
    expect(forms("conv1", "forward", 4)).toEqual([
      "conv2d_forward",
      ...conv2dForward.variants!.map(({ name }) => name),
    ]);
    // Variants load four images at once.
    expect(forms("conv1", "forward", 2)).toEqual(["conv2d_forward"]);
  });

  test("of Winograd's products too, and beside them the direct convolution", () => {
    const all = forms("conv3", "input gradient", 4);
    expect(all).toContain("conv2d_backward_x_128x128");
    expect(all.at(-1)).toBe("direct");
    expect(forms("conv3", "weight gradient", 4).at(-1)).toBe("direct");
    expect(forms("conv1", "weight gradient", 4)).not.toContain("direct");
  });

  test("a form is what the device is given, without others to choose from", () => {
    const given: Kernel[] = [];
    const run = (kernel: unknown) => void given.push(kernel as Kernel);
    const backend = { ...pretend({ parallelWorkgroups: 1 }), run };
    const kernel = conv2dForward as unknown as Kernel;
    const [variant] = kernel.variants!;
    for (const form of [variant!, kernel]) forcing(backend, kernel, form).run(conv2dForward, {} as never, {} as never);
    forcing(backend, kernel, variant!).run({ ...conv2dForward, name: "other" }, {} as never, {} as never);
    expect(given.map(({ name, wgsl, variants }) => [name, wgsl, variants?.length])).toEqual([
      [variant!.name, variant!.wgsl, undefined],
      [kernel.name, kernel.wgsl, undefined],
      ["other", kernel.wgsl, kernel.variants!.length],
    ]);
  });
});

test("the kernels of a step with their times and their work, on a device that computes", async () => {
  const saved: number[] = [];
  const rows = await profileKernels(openReference(), {
    ...{ network: toy, images: 2, most: 2, isOver: () => false },
    save: (kernels) => saved.push(kernels.length),
  });
  expect(saved.at(-1)).toBe(rows.length);
  expect(rows.map(({ index }) => index)).toEqual(rows.map((_, i) => i));
  expect(rows[0]).toMatchObject({ model: "toy", images: 2, part: "augment", kernel: "augment" });
  // 2 · 4 filters · 7 · 7 positions · 3 maps · 5 · 5 · 2 images
  expect(rows.find(({ part }) => part === "conv1 forward")).toMatchObject({ flop: 2 * 4 * 7 * 7 * 3 * 25 * 2 });
  for (const { ms, bytes } of rows) {
    expect(ms).toBeGreaterThanOrEqual(0);
    expect(bytes).toBeGreaterThan(0);
  }
});

test("with the time used up, what has not begun is skipped", async () => {
  const bench = benchOn([referenceDevice()], { ...ONCE, isOver: () => true });
  await conv.run(bench, { network: toy, batches: [1], quick: true });
  expect(bench.rows).toEqual([]);
  expect(new Set(bench.skipped.map(({ reason }) => reason))).toEqual(new Set(["no time was left"]));
});

test("a part saves what it has", async () => {
  const saved: Data[] = [];
  const job = {
    work: "steps",
    device: "cpu:wasm",
    model: "small",
    images: 2,
    limitMs: Infinity,
    isSmall: true,
    roof,
  } as const;
  await doWork(job, (data) => saved.push({ ...data, rows: [...data.rows!] }));
  expect(saved[0]!.rows!.map(({ name }) => name)).toEqual(["small training, batch 2"]);
  expect(saved.at(-1)!.rows!.map(({ name }) => name)).toEqual(["small training, batch 2", "small forward, batch 2"]);
});

describe("the command", () => {
  const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
  const { path, remove } = temporaryFolder();
  const profile = (...args: string[]) =>
    endOf(Bun.spawn([process.execPath, MAIN, "profile", ...args], { cwd: path, stdout: "pipe", stderr: "pipe" }));

  test("in no time: every part is skipped, and the files say so", async () => {
    const { code, stdout } = await profile("--device", "cpu:wasm", "--model", "small", "--minutes", "0.001");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^doctor +skipped: it takes 5\.0 s at least; 0\.0 s of 0\.1 s were left for it$/m);
    expect(stdout).toContain("profile-cpu-wasm.html");
    const { profile: read } = JSON.parse(readFileSync(join(path, "profile-cpu-wasm.json"), "utf8"));
    expect(read.parts.length).toBeGreaterThan(5);
    expect(existsSync(join(path, "profile-cpu-wasm.html"))).toBe(true);
    remove();
  });

  test.each([
    [["--quick"], "--quick does not apply to bench profile"],
    [["--threads", "2"], "--threads does not apply to bench profile"],
    [["--json", "a.json"], "--json does not apply to bench profile: it writes a file into --out"],
    [["--minutes", "0"], "--minutes 0: must be above 0"],
  ])("%p is refused", async (args, message) => {
    const child = Bun.spawn([process.execPath, MAIN, "profile", ...args], { stdout: "pipe", stderr: "pipe" });
    expect(await endOf(child)).toMatchObject({ code: 2, stderr: `error: ${message}\n` });
  });
});
