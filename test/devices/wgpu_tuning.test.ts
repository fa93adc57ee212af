import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Feature } from "../../src/devices/gpu/description.ts";
import { openWgpu, type WgpuBackend, type WgpuOptions } from "../../src/devices/wgpu/backend.ts";
import { Buffers } from "../../src/devices/wgpu/buffers.ts";
import { Device } from "../../src/devices/wgpu/device.ts";
import type { Clock } from "../../src/devices/wgpu/gpu.ts";
import { Measurements } from "../../src/devices/wgpu/measurements.ts";
import { busy, measureParallelWorkgroups, parallelWorkgroups } from "../../src/devices/wgpu/parallel.ts";
import { Pipelines } from "../../src/devices/wgpu/pipelines.ts";
import { Queue, type Timer } from "../../src/devices/wgpu/queue.ts";
import { Staging } from "../../src/devices/wgpu/staging.ts";
import { createClock } from "../../src/devices/wgpu/timers.ts";
import type { KernelTime } from "../../src/engine/backend.ts";
import { kernel, line, type Kernel, type Variant } from "../../src/engine/kernel.ts";
import { openReference } from "../../src/engine/reference.ts";
import { DeviceError, UsageError } from "../../src/errors.ts";
import { describeBackends } from "../support/backends.ts";

/**
 * WGSL that adds `mark` to y, or sets it, after `work` rounds of a loop that no compiler leaves out. Real variants
 * compute the same; these differ in what they write, so that it shows which one ran.
 */
function marking(name: string, mark: number, work: number, operator = "="): Omit<Variant<"size">, "workgroups"> {
  return {
    name,
    wgsl: `
struct Uniforms { size: u32, scale: f32, }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn ${name}(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= u.size) { return; }
  var v = x[id.x];
  for (var i = 0u; i < ${work}u; i++) { v = fract(v * 1.5 + 0.1); }
  y[id.x] ${operator} ${mark}.0 + select(0.0, 1.0, v > 2.0);
}`,
  };
}

const SLOW = 2000;
const FAST = 10;
const workgroups = ({ size }: { readonly size: number }) => line(size);

function marked(name: string, variants: readonly Variant<"size" | "scale">[], work = SLOW, mark = 1) {
  return kernel({
    ...marking(name, mark, work),
    module: import.meta.url,
    buffers: { x: "read", y: "write" },
    uniforms: { size: "u32", scale: "f32" },
    workgroups,
    variants,
    reference() {},
  });
}

const fast = { ...marking("fast", 2, FAST), workgroups };
const choosing = marked("choosing", [{ ...marking("slower", 3, 2 * SLOW), workgroups }, fast]);
const SIZE = 256;

/** How long kernels take, in ms, by `madeUp`; 1 if not said. */
const COSTS: Readonly<Record<string, number>> = {
  slower: 2,
  fast: 0.5,
  adding_fast: 0.5,
  copy_fast: 0.5,
  quick_fast: 0.5,
  slow: 0.9,
  even: 0.5,
  large: 0.1,
  many: 0.1,
};

/** A clock by which kernels take what COSTS says, however busy this machine is. */
function madeUp(): Clock {
  let time = 0;
  const createTimer = (): Timer => {
    const times: KernelTime[] = [];
    return {
      before(kernel) {
        const ms = COSTS[kernel] ?? 1;
        times.push({ kernel, ms });
        time += ms;
        return 0;
      },
      after() {},
      read: async () => times,
      readNow: () => times,
      close() {},
    };
  };
  return { now: () => time, timers: [createTimer] };
}

const folder = mkdtempSync(join(tmpdir(), "tuning-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(folder, String(folders++));

/** Opens the GPU with a clock that is made up, lets `body` work with it, and closes it. @returns the warnings that came */
async function withGpu(options: WgpuOptions, body: (gpu: WgpuBackend) => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const gpu = await openWgpu({
    adapter: 0,
    checks: true,
    clock: madeUp(),
    warn: (message) => warnings.push(message),
    ...options,
  });
  try {
    await body(gpu);
  } finally {
    await gpu.close();
  }
  return warnings;
}

/** The mark that a kernel leaves. */
async function markOf(gpu: WgpuBackend, run: Kernel<"x" | "y", "size" | "scale">, size = SIZE, scale = 1) {
  const [x, y] = [gpu.allocate("f32", size), gpu.allocate("f32", size)];
  gpu.write(x, new Float32Array(size));
  gpu.write(y, new Float32Array(size));
  gpu.run(run, { x, y }, { size, scale });
  const marks = new Set(await gpu.read(y));
  for (const buffer of [x, y]) gpu.free(buffer);
  expect(marks.size).toBe(1);
  return [...marks][0];
}

/** The one file of measurements in a folder. */
function fileIn(tuningFolder: string): { path: string; contents: any } {
  const names = readdirSync(tuningFolder);
  expect(names.length).toBe(1);
  const path = join(tuningFolder, names[0]!);
  return { path, contents: JSON.parse(readFileSync(path, "utf8")) };
}

describeBackends(
  "tuning",
  () => {
    test("the fastest variant of a shape runs", async () => {
      const tuningFolder = newFolder();
      const warnings = await withGpu({ tune: true, tuningFolder }, async (gpu) => {
        expect(await markOf(gpu, choosing)).toBe(2);
        const [x, y] = [gpu.allocate("f32", SIZE), gpu.allocate("f32", SIZE)];
        // Another shape is measured while kernels are timed, and is not among them.
        const times = await gpu.profile(() => {
          gpu.run(choosing, { x, y }, { size: SIZE, scale: 1 });
          gpu.run(choosing, { x, y }, { size: SIZE / 2, scale: 1 });
        });
        expect(times).toEqual([
          { kernel: "fast", ms: 0.5 },
          { kernel: "fast", ms: 0.5 },
        ]);
        const objects = gpu.counts();
        expect(await markOf(gpu, choosing)).toBe(2);
        await gpu.synchronize();
        expect(gpu.counts()).toEqual(objects);
      });
      expect(warnings).toEqual([]);
      const { choosing: stored } = fileIn(tuningFolder).contents.kernels;
      const expected = { fastest: "fast", ms: { choosing: 1, slower: 2, fast: 0.5 } };
      expect(stored.shapes).toEqual({ [`size=${SIZE}`]: expected, [`size=${SIZE / 2}`]: expected });
    });

    test.each([true, false])("by its own clocks every variant has a time, with timestamps: %p", async (timestamps) => {
      const tuningFolder = newFolder();
      const gpu = await openWgpu({ adapter: 0, checks: true, tune: true, tuningFolder, timestamps });
      const mark = await markOf(gpu, choosing);
      const objects = gpu.counts();
      await markOf(gpu, choosing, SIZE / 2);
      await gpu.synchronize();
      expect(gpu.counts()).toEqual(objects);
      await gpu.close();
      const { fastest, ms } = fileIn(tuningFolder).contents.kernels.choosing.shapes[`size=${SIZE}`];
      expect(Object.keys(ms)).toEqual(["choosing", "slower", "fast"]);
      const times = Object.values<number>(ms);
      expect(Math.min(...times)).toBeGreaterThan(0);
      expect(ms[fastest]).toBeLessThan(1.03 * Math.min(...times));
      expect(mark).toBe(1 + ["choosing", "fast", "slower"].indexOf(fastest));
    });

    test("what the file says is taken without measuring, for the WGSL that was measured", async () => {
      const tuningFolder = newFolder();
      await withGpu({ tune: true, tuningFolder }, async (gpu) => {
        expect(await markOf(gpu, choosing)).toBe(2);
      });
      const { path, contents } = fileIn(tuningFolder);
      contents.kernels.choosing.shapes[`size=${SIZE}`].fastest = "slower";
      writeFileSync(path, JSON.stringify(contents));
      const warnings = await withGpu({ tune: true, tuningFolder }, async (gpu) => {
        expect(await markOf(gpu, choosing)).toBe(3);
        // A float among the uniforms is no other shape, a size is.
        expect(await markOf(gpu, choosing, SIZE, 0.5)).toBe(3);
        expect(await markOf(gpu, choosing, SIZE + 1)).toBe(2);
      });
      await withGpu({ tune: true, tuningFolder }, async (gpu) => {
        expect(await markOf(gpu, marked("choosing", choosing.variants!, SLOW + 1))).toBe(2);
      });
      expect(warnings).toEqual([]);
      expect(Object.keys(fileIn(tuningFolder).contents.kernels.choosing.shapes)).toEqual([`size=${SIZE}`]);
    });

    test.each([
      {
        what: "damaged",
        change: (text: string) => text.slice(0, text.length / 2),
        problem: /ignoring .*: it is damaged/,
      },
      { what: "of another form", change: () => `{"format": 1, "device": "x"}`, problem: /it is from another version/ },
      {
        what: "of another device",
        // With codes that a terminal obeys.
        change: (text: string) => text.replace(/"device": "/, '"device": "another\x7f\x9b'),
        problem: /ignoring .* and measuring again: it is for another .*, but this is /,
      },
    ])("a file that is $what is ignored with one warning, and replaced", async ({ change, problem }) => {
      const tuningFolder = newFolder();
      const open = async () => {
        const warnings = await withGpu({ tune: true, tuningFolder }, async (gpu) => {
          expect(await markOf(gpu, choosing)).toBe(2);
        });
        return warnings;
      };
      expect(await open()).toEqual([]);
      const { path, contents } = fileIn(tuningFolder);
      contents.kernels.choosing.shapes[`size=${SIZE}`].fastest = "slower";
      writeFileSync(path, change(JSON.stringify(contents, undefined, 2)));
      const warnings = await open();
      expect(warnings.length).toBe(1);
      expect(warnings[0]).toContain(path);
      expect(warnings[0]).toMatch(problem);
      expect(await open()).toEqual([]);
    });

    test("a folder that can't be written is a warning", async () => {
      const tuningFolder = newFolder();
      writeFileSync(tuningFolder, "a file");
      const warnings = await withGpu({ tune: true, tuningFolder }, async (gpu) => {
        expect(await markOf(gpu, choosing)).toBe(2);
      });
      expect(warnings.some((warning) => /the GPU's measurements are not saved/.test(warning))).toBe(true);
    });

    test("switched off, as on software adapters, a kernel's own WGSL runs and nothing is written", async () => {
      const tuningFolder = newFolder();
      const before = process.env.ALEXNET_TUNE;
      const marks = async (options: WgpuOptions, environment?: string) => {
        if (environment === undefined) delete process.env.ALEXNET_TUNE;
        else process.env.ALEXNET_TUNE = environment;
        let mark: number | undefined;
        await withGpu({ tuningFolder, ...options }, async (gpu) => void (mark = await markOf(gpu, choosing)));
        return mark;
      };
      try {
        expect(await marks({ tune: false }, "on")).toBe(1);
        expect(await marks({}, "off")).toBe(1);
        expect(await marks({})).toBe(1);
        expect(() => readdirSync(tuningFolder)).toThrow();
        expect(await marks({}, "on")).toBe(2);
        expect(readdirSync(tuningFolder).length).toBe(1);
        await expect(marks({}, "maybe")).rejects.toThrow(UsageError);
      } finally {
        if (before === undefined) delete process.env.ALEXNET_TUNE;
        else process.env.ALEXNET_TUNE = before;
      }
    });

    test("what a kernel updates changes once, however often it was timed", async () => {
      const adding = kernel({
        ...marked("adding", [{ ...marking("adding_fast", 2, FAST, "+="), workgroups }]),
        ...marking("adding", 1, SLOW, "+="),
        buffers: { x: "read", y: "update" },
      });
      await withGpu({ tune: true, tuningFolder: newFolder() }, async (gpu) => {
        const held = gpu.statistics();
        expect(await markOf(gpu, adding)).toBe(2);
        expect(gpu.statistics()).toEqual(held);
      });
    });

    test("misuse is the same error as without variants", async () => {
      const adding = kernel({ ...choosing, name: "misused", buffers: { x: "read", y: "update" } });
      await withGpu({ tune: true, tuningFolder: newFolder() }, async (gpu) => {
        const [x, y] = [gpu.allocate("f32", SIZE), gpu.allocate("f32", SIZE)];
        const uniforms = { size: SIZE, scale: 1 };
        expect(() => gpu.run(adding, { x } as { x: typeof x; y: typeof y }, uniforms)).toThrow(
          /misused: buffer y is missing/,
        );
        expect(() => gpu.run(adding, { x, y: x }, uniforms)).toThrow(/buffer y: the same buffer/);
        expect(() => gpu.run(adding, { x, y }, {} as typeof uniforms)).toThrow(
          /kernel misused: uniform size is missing/,
        );
      });
    });

    test("a variant that does not fit the shape or the device is left out", async () => {
      const large = fast.wgsl.replace("fn fast", "fn large").replace("workgroup_size(64)", "workgroup_size(100000)");
      const picky = marked("picky", [
        { ...marking("even", 4, FAST), workgroups, fits: ({ size }) => size % 2 === 0 },
        { name: "large", wgsl: large, workgroups },
        { ...marking("many", 5, FAST), workgroups: () => [70_000, 1, 1] },
      ]);
      await withGpu({ tune: true, tuningFolder: newFolder() }, async (gpu) => {
        const objects = gpu.counts();
        expect(await markOf(gpu, picky, 255)).toBe(1);
        expect(await markOf(gpu, picky, 256)).toBe(4);
        expect(gpu.counts().shaderModules).toBe(objects.shaderModules);
      });
    });

    test("inputs that are still queued are there when variants are timed", async () => {
      await withGpu({ tune: true, tuningFolder: newFolder() }, async (gpu) => {
        const [x, y, z] = [0, 1, 2].map(() => gpu.allocate("f32", SIZE)) as [any, any, any];
        gpu.write(x, new Float32Array(SIZE));
        gpu.run(marked("first", [], FAST, 7), { x, y }, { size: SIZE, scale: 1 });
        const copy = kernel({
          ...marked("copy", [{ ...fast, name: "copy_fast" }]),
          ...marking("copy", 1, SLOW),
          variants: [{ name: "copy_fast", wgsl: fast.wgsl.replace(/y\[id.x\] =.*/, "y[id.x] = x[id.x];"), workgroups }],
        });
        gpu.run(copy, { x: y, y: z }, { size: SIZE, scale: 1 });
        gpu.write(x, new Float32Array(SIZE).fill(9));
        expect([...new Set(await gpu.read(z))]).toEqual([7]);
      });
    });

    test("of several ways to compute the same the fastest is kept, with the sum of its kernels' times", async () => {
      const tuningFolder = newFolder();
      const slow = marked("slow", []);
      const quick = marked("quick", [{ ...fast, name: "quick_fast" }]);
      /** Which way is fastest for a size, on a GPU opened anew, and how often each was run. */
      const fastest = async (options: WgpuOptions, size: number, isAsked = true) => {
        const runs = { two: 0, one: 0 };
        let answer: string | undefined;
        const warnings = await withGpu({ tuningFolder, ...options }, async (gpu) => {
          const [x, y] = [gpu.allocate("f32", SIZE), gpu.allocate("f32", SIZE)];
          const run = (kernel: typeof slow) => gpu.run(kernel, { x, y }, { size: SIZE, scale: 1 });
          // Two kernels of 0.5 ms, after one of them was tuned, and one of 0.9.
          const two = () => [quick, quick].forEach((kernel) => (run(kernel), runs.two++));
          const one = () => (run(slow), runs.one++);
          const ways: Record<string, () => void> = isAsked ? { two, one } : {};
          answer = gpu.fastest?.(choosing as unknown as Kernel, { size }, ways);
          const before = { ...runs };
          expect(gpu.fastest?.(choosing as unknown as Kernel, { size }, ways)).toBe(answer);
          expect(runs).toEqual(before);
        });
        expect(warnings).toEqual([]);
        return { answer, runs: runs.one };
      };
      expect(await fastest({ tune: false }, 1)).toEqual({ answer: undefined, runs: 0 });
      expect(await fastest({ tune: true }, 1, false)).toEqual({ answer: undefined, runs: 0 });
      const first = await fastest({ tune: true }, 1);
      expect(first.answer).toBe("one");
      expect(first.runs).toBeGreaterThan(1);
      expect(await fastest({ tune: true }, 1)).toEqual({ answer: "one", runs: 0 });
      expect(await fastest({ tune: true }, 1, false)).toEqual({ answer: "one", runs: 0 });
      const { path, contents } = fileIn(tuningFolder);
      const { shapes } = contents.kernels.choosing;
      expect(shapes).toEqual({ "way: size=1": { fastest: "one", ms: { two: 1, one: 0.9 } } });
      // Another size is measured by itself; an answer that is none of the ways is measured again.
      shapes["way: size=1"].fastest = "two";
      shapes["way: size=2"] = { fastest: "three", ms: {} };
      writeFileSync(path, JSON.stringify(contents));
      expect(await fastest({ tune: true }, 1)).toEqual({ answer: "two", runs: 0 });
      expect((await fastest({ tune: true }, 2)).answer).toBe("one");
    });

    test("the number of workgroups at once is measured on a device", async () => {
      const device = await Device.open(0);
      const queue = new Queue(device);
      const buffers = new Buffers(device, queue.uniformBuffer);
      const pipelines = new Pipelines(device, true);
      const staging = new Staging(device, queue);
      // A second passes at each look at the clock, so that a software GPU is not kept warm for long.
      let seconds = 0;
      const clock = { ...createClock(device, queue, staging), now: () => 1000 * seconds++ };
      const count = measureParallelWorkgroups({ device, queue, pipelines, buffers, staging, clock });
      expect(count).toBeWithin(2, 4097);
      expect(Number.isInteger(Math.log2(count))).toBe(true);
      expect(buffers.statistics().buffers).toBe(0);
      for (const part of [buffers, staging, queue, pipelines, device]) part.close();
    });

    test("the kernel that keeps workgroups busy computes what it says", async () => {
      const size = 3 * 256;
      await withGpu({}, async (gpu) => {
        const results: Float32Array[] = [];
        for (const backend of [gpu, openReference()]) {
          const y = backend.allocate("f32", size);
          backend.run(busy, { y }, { groups: 3, steps: 64 });
          results.push((await backend.read(y)) as Float32Array);
        }
        for (const [i, value] of results[0]!.entries()) expect(value).toBeCloseTo(results[1]![i]!, 2);
      });
    });
  },
  ["wgpu"],
);

test("the number of workgroups at once is measured once, and kept", async () => {
  const device = { kind: "discrete", features: new Set<Feature>(["timestamps"]), name: "a GPU" } as const;
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const tuningFolder = newFolder();
  const open = () => new Measurements(tuningFolder, "this device", warn);
  let measured = 0;
  const measure = () => (measured++, 128);
  const first = open();
  expect(parallelWorkgroups(device, first, warn, measure)).toBe(128);
  await first.close();
  expect(parallelWorkgroups(device, open(), warn, measure)).toBe(128);
  expect(measured).toBe(1);
  const { path, contents } = fileIn(tuningFolder);
  expect(contents.parallelWorkgroups).toBe(128);
  const stored = async (count: number) => {
    writeFileSync(path, JSON.stringify({ ...contents, parallelWorkgroups: count }));
    const measurements = open();
    const used = parallelWorkgroups(device, measurements, warn, measure);
    await measurements.close();
    return used;
  };
  expect(await stored(77)).toBe(77);
  expect(measured).toBe(1);
  // What earlier versions found while a clock rose.
  expect(await stored(1)).toBe(128);
  expect(fileIn(tuningFolder).contents.parallelWorkgroups).toBe(128);
  expect(measured).toBe(2);
  // Nothing is measured where nothing is kept, there is no clock, or the GPU is software.
  expect(parallelWorkgroups(device, undefined, warn, measure)).toBe(512);
  expect(parallelWorkgroups({ ...device, features: new Set<Feature>() }, first, warn, measure)).toBe(512);
  const threads = Math.max(2, navigator.hardwareConcurrency);
  expect(parallelWorkgroups({ ...device, kind: "software" }, first, warn, measure)).toBe(threads);
  expect(measured).toBe(2);
  expect(warnings).toEqual([]);
  const fail = () => {
    throw new DeviceError("no clock");
  };
  expect(parallelWorkgroups(device, new Measurements(newFolder(), "another", warn), warn, fail)).toBe(512);
  expect(warnings).toEqual([
    expect.stringMatching(/^a GPU: can't measure how many workgroups run at once, assuming 512: no clock$/),
  ]);
});
