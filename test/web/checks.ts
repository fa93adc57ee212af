/** Runs in a page: what the tests there ask for, as functions of the page. Their results are plain data. */
import type { Backend } from "../../src/engine/backend.ts";
import { kernel } from "../../src/engine/kernel.ts";
import { casesOf } from "../../src/engine/ops/cases.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { batchNorm, conv, fc, maxPool, relu } from "../../src/net/layers/index.ts";
import { NO_AUGMENTATION, type Network } from "../../src/net/recipe.ts";
import { checkKernels, wordsOf, type KernelReport } from "../../src/verbs/doctor/kernels.ts";
import { openWebGpu, type WebGpuBackend } from "../../src/devices/webgpu/backend.ts";
import { openInPage } from "../../src/web/device.ts";
import { oneOfEach } from "./cases.ts";
import { train, type Sizes, type Trained } from "./training.ts";

type Device = "auto" | "webgpu" | "webassembly";

/** For a few steps on a software GPU, which compiles a convolution for seconds. */
const linear: Network = {
  ...small,
  name: "linear",
  crop: 16,
  record: 16,
  recipe: { ...small.recipe, augmentation: { ...NO_AUGMENTATION, divideBy: 64 } },
  layers: (classes) => [maxPool(2, 2), fc("fc", classes, { sigma: 0.01 })],
};

/** To be trained on a software GPU: of 16 × 16 pixels, and with what makes few steps enough. */
const tiny: Network = {
  ...small,
  name: "tiny",
  crop: 16,
  record: 16,
  recipe: { ...small.recipe, optimizer: "nesterov", schedule: { kind: "cosine", rate: 0.05 } },
  layers: (classes) => [
    [conv("conv1", 8, 3, { pad: 1, sigma: 0.05, bias: false }), batchNorm("bn1"), relu()],
    [conv("conv2", 16, 3, { pad: 1, sigma: 0.05, bias: false }), maxPool(2, 2), batchNorm("bn2"), relu()],
    [conv("conv3", 32, 3, { pad: 1, sigma: 0.05, bias: false }), maxPool(2, 2), batchNorm("bn3"), relu()],
    fc("fc4", classes, { sigma: 0.01 }),
  ],
};

const markingWgsl = (name: string, mark: number, rounds: string) => `
struct Uniforms { rounds: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn ${name}() {
  var v = 0.5;
  for (var i = 0u; i < ${rounds}; i++) { v = fract(v * 1.5 + 0.1); }
  y[0] = ${mark}.0 + select(0.0, 1.0, v > 2.0);
}`;

/** Real variants compute the same; these differ in what they write, so that it shows which one ran. */
const marking = kernel({
  name: "marking",
  module: import.meta.url,
  wgsl: markingWgsl("marking", 1, "u.rounds"),
  buffers: { y: "write" },
  uniforms: { rounds: "u32" },
  workgroups: () => [1, 1, 1],
  variants: [{ name: "marking_fast", wgsl: markingWgsl("marking_fast", 2, "1u"), workgroups: () => [1, 1, 1] }],
  reference() {},
});

const NETWORKS = { small, tiny, linear };

const opened = new Map<Device, Promise<Backend>>();

async function openNew(device: Device): Promise<Backend> {
  return openInPage({ kernels: new Uint8Array(await (await fetch("kernels.wasm")).arrayBuffer()), device });
}

/** The same at every call: a software GPU compiles for seconds what it runs for milliseconds. */
function open(device: Device): Promise<Backend> {
  const backend = opened.get(device) ?? openNew(device);
  opened.set(device, backend);
  return backend;
}

/** What is said when something fails: "DeviceError: …". */
async function failure(work: () => unknown): Promise<string> {
  try {
    await work();
    return "nothing";
  } catch (error) {
    return String(error);
  }
}

export const checks = {
  /** The kinds of device that there are, with what they say of themselves. */
  async describe(device: Device): Promise<{ kind: string; description: string }> {
    const backend = await open(device);
    return { kind: backend.kind, description: backend.description };
  },

  /**
   * Kernels against their references, at all sizes or one of at most 600 elements.
   * @param names some of them; all by default
   */
  async kernels(
    device: Device,
    sizes: "all" | "one",
    names?: readonly string[],
  ): Promise<KernelReport & { words?: string }> {
    const backend = await open(device);
    const cases = casesOf(backend.kind).filter(({ kernel }) => names?.includes(kernel.name) ?? true);
    const report = await checkKernels(backend, () => {}, sizes === "all" ? cases : oneOfEach(cases, 600));
    const words = wordsOf(report);
    return { ...report, ...(words && { words }) };
  },

  async training(device: Device, network: keyof typeof NETWORKS, sizes: Sizes): Promise<Trained> {
    const backend = await open(device);
    return train(backend, NETWORKS[network], sizes);
  },

  /** What goes wrong on a GPU, in words. */
  async failures(): Promise<Record<string, string>> {
    const backend = (await openNew("webgpu")) as WebGpuBackend;
    const x = backend.allocate("f32", 4);
    const y = backend.allocate("f32", 4);
    const broken = { ...accumulateKernel, name: "broken", wgsl: "fn broken( {" };
    const said: Record<string, string> = {};
    said.readNow = await failure(() => backend.readNow(x));
    said.wgsl = await failure(async () => {
      backend.run(broken, { x, y }, { size: 4 });
      await backend.read(y);
    });
    said.memory = await failure(() => backend.allocate("f32", 2 ** 40));
    said.same = await failure(() => backend.run(accumulateKernel, { x, y: x }, { size: 4 }));
    said.write = await failure(() => backend.write(x, new Float32Array(5)));
    backend.write(x, Float32Array.of(1, 2, 3, 4));
    backend.write(y, new Float32Array(4));
    backend.run(accumulateKernel, { x, y }, { size: 4 });
    // Freed before the kernel is submitted.
    backend.free(x);
    said.alive = `${await backend.read(y)}`;
    const times = await backend.profile(() =>
      backend.run(accumulateKernel, { x: backend.allocate("f32", 4), y }, { size: 4 }),
    );
    said.profile = times.map(({ kernel, ms }) => `${kernel} ${ms >= 0}`).join();
    backend.lose();
    said.lost = await failure(() => backend.read(y));
    said["lost later"] = await failure(() => backend.allocate("f32", 1));
    await backend.close();
    said.closed = await failure(() => backend.allocate("f32", 1));
    return said;
  },

  /** What a kernel with a slow text and a fast variant writes before and after tuning: 1 by its own, 2 by the variant. */
  async tuning(): Promise<number[]> {
    await using backend = await openWebGpu({ tune: true });
    const y = backend.allocate("f32", 1);
    const run = async () => {
      backend.run(marking, { y }, { rounds: 1e6 });
      return (await backend.read(y))[0]!;
    };
    const before = await run();
    await backend.tune();
    return [before, await run()];
  },

  /** How often the page could do something else while it computed. */
  async alive(device: Device): Promise<number> {
    const backend = await open(device);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await train(backend, tiny, { train: 128, val: 10, epochs: 1, batch: 32 });
    clearInterval(timer);
    return turns;
  },
};

export type Checks = typeof checks;

Object.assign(globalThis, { checks });
