/**
 * The benchmark of the GPU page: products and convolutions by each variant of their kernels, and training steps, within
 * a time. How results are checked, and what is counted, is as in bench/README.md.
 */
import { Bench, type Entrant, type Limits, type Listener } from "../../../../bench/bench.ts";
import type { BenchDevice } from "../../../../bench/devices.ts";
import { gpuRoof, type Clock } from "../../../../bench/gpu_roof.ts";
import { layerPiece, namedLayers, openPass, type NamedLayer, type Task } from "../../../../bench/layer_piece.ts";
import type { Run } from "../../../../bench/measure.ts";
import { loadPass, type PassName } from "../../../../bench/pass.ts";
import { formsOf } from "../../../../bench/profile/variants.ts";
import type { Roof } from "../../../../bench/results.ts";
import { flopsPerRound, fmaModule } from "../../../../bench/roof/wasm_fma.ts";
import { square } from "../../../../bench/square.ts";
import { step } from "../../../../bench/suites/step.ts";
import type { Backend } from "../../../engine/backend.ts";
import { accumulateKernel } from "../../../engine/tape.ts";
import { DeviceError } from "../../../errors.ts";
import { findNetwork } from "../../../net/networks.ts";

/**
 * Browsers round a GPU's own times to 0.1 ms. So work is queued until it takes about this long by the wall clock, and
 * the time is divided.
 */
const SAMPLE_MS = 40;
const MOST_REPEATS = 2000;

const LIMITS: Omit<Limits, "isOver"> = { rowMs: 100, least: 3, most: 3, passMs: 1500 };

/** Not more than a phone lets a page have. */
const COPY_BYTES = 2 ** 26;

/** What decides on what is measured. */
interface WorkOptions {
  readonly backend: Pick<Backend, "kind">;
  readonly isMobile: boolean;
  /** Whether to leave out all but the smallest sizes. */
  readonly isTrial: boolean;
}

export interface BenchOptions extends WorkOptions {
  readonly backend: Backend;
  /** After so many seconds nothing more is begun. */
  readonly seconds: number;
}

/**
 * Measures until all is done or the time is up.
 * @param listener told of each measurement as it is made
 * @throws DeviceError when the device fails, or computes the roof wrongly
 */
export async function measure(options: BenchOptions, listener: Listener & { roof(roof: Roof): void }): Promise<void> {
  const { backend, seconds } = options;
  const end = performance.now() + 1000 * seconds;
  const isOver = () => performance.now() > end;
  listener.working("the roof");
  const isGpu = backend.kind !== "cpu";
  const roof = isGpu ? await gpuRoof(backend, wallClock, COPY_BYTES) : await wasmRoof(backend);
  listener.roof(roof);
  const device: BenchDevice = {
    ...{ device: isGpu ? "webgpu" : "webassembly", description: backend.description, backend, roof, isSoftware: false },
  };
  const bench = new Bench([device], { ...LIMITS, isOver }, listener);
  for (const work of worksFor(roof, options)) {
    if (isOver()) {
      bench.skip({ suite: "page", name: work.name }, { contestant: "all", device }, "no time was left");
      continue;
    }
    await work.run(bench, device);
    // The harness takes a lost device for work that does not fit.
    await backend.synchronize();
  }
}

interface Work {
  readonly name: string;
  run(bench: Bench, device: BenchDevice): Promise<void>;
}

/** Layers of alexnet-owt, which has torchvision's names, by the paper's. */
const LAYERS = { conv1: "features.0", conv2: "features.3", conv3: "features.6", fc6: "classifier.1" } as const;

/** What there is to measure, the most telling first. */
export function worksFor(roof: Pick<Roof, "flopsPerSecond">, { backend, isMobile, isTrial }: WorkOptions): Work[] {
  const isSmall = isMobile || backend.kind === "cpu";
  const alexnet = namedLayers(findNetwork("alexnet-owt"));
  const layerOf = (label: keyof typeof LAYERS): NamedLayer => {
    const layer = alexnet.find((layer) => layer.label === LAYERS[label]);
    if (!layer) throw new Error(`alexnet-owt has no layer ${LAYERS[label]}`);
    return { ...layer, label };
  };
  // A batch whose convolutions take some ms.
  const images = roof.flopsPerSecond > 2e12 ? 128 : roof.flopsPerSecond > 2e11 ? 32 : 4;
  const conv = (label: keyof typeof LAYERS, pass: PassName) => passOf("conv", layerOf(label), pass, images);
  const training = (name: string, batch: number): Work => ({
    name: `${name} steps`,
    run: (bench) => step.run(bench, { network: findNetwork(name), batches: [batch], quick: true }),
  });
  const product = (side: number) => passOf("matmul", square(side), "forward", side, `${side}×${side}×${side}`);
  if (isTrial) return [product(256), training("small", 8)];
  return [
    ...[512, 1024].map(product),
    conv("conv2", "forward"),
    training("small", 128),
    conv("conv2", "weight gradient"),
    conv("conv2", "input gradient"),
    // 61 million weights, their gradients and velocities are 0.7 GB.
    isSmall ? training("resnet18", Math.min(images, 8)) : training("alexnet-owt", images),
    conv("conv1", "forward"),
    conv("conv3", "forward"),
    ...[2048, 256, 4096].map(product),
    conv("conv1", "weight gradient"),
    conv("conv3", "weight gradient"),
    passOf("matmul", layerOf("fc6"), "forward", images),
    passOf("matmul", layerOf("fc6"), "weight gradient", images),
  ];
}

function passOf(suite: string, layer: NamedLayer, pass: PassName, images: number, name?: string): Work {
  const zeroBias = suite === "matmul" && layer.label === "square";
  return {
    name: name ?? `${layer.label} ${pass}, batch ${images}`,
    async run(bench, device) {
      const { backend } = device;
      let task: Task | undefined;
      const others = (given: Task) => formsOf((task = given), device, "wall", openTimed);
      const piece = layerPiece(suite, layer, pass, images, [device], { others, zeroBias, ...(name && { name }) });
      const [own, forms] = [piece.entrants.at(-1)!, piece.entrants.slice(0, -1)];
      // Where there are forms, the last entrant is whichever the device would choose: one of them.
      const alone: Entrant = {
        ...{ ...own, clock: "wall" },
        open: async () => openTimed(task!, backend, loadPass(backend, layer, pass, task!.operands())),
      };
      await bench.contest({ ...piece, entrants: forms.length > 0 ? forms : [alone] });
    },
  };
}

const openTimed: typeof openPass = (task, backend, pass) => {
  const { kernels: _, ...opened } = openPass(task, backend, pass);
  return { ...opened, run: throughput(backend, () => pass.queue()) };
};

/** Queues work as often as makes a sample long enough, and waits for all of it. */
function throughput(backend: Backend, queue: () => void): Run {
  let times = 1;
  const sample = async () => {
    const start = performance.now();
    for (let i = 0; i < times; i++) queue();
    await backend.synchronize();
    const ms = performance.now() - start;
    const each = ms / times;
    times = Math.min(MOST_REPEATS, Math.max(1, Math.ceil((times * SAMPLE_MS) / Math.max(ms, 0.1))));
    return each;
  };
  return async (repeats) => {
    const samples: number[] = [];
    for (let i = 0; i < repeats; i++) samples.push(await sample());
    return samples;
  };
}

const wallClock: Clock = async (backend, work) => {
  const run = throughput(backend, work);
  const [ms] = await run(1);
  return ms! >= SAMPLE_MS ? ms! : (await run(1))[0]!;
};

/** WebAssembly's, on this thread: multiplications and additions in registers, and y ← x + y. */
async function wasmRoof(backend: Backend): Promise<Roof> {
  const [chains, rounds, numbers] = [10, 200_000, COPY_BYTES / 4];
  const { instance } = await WebAssembly.instantiate(fmaModule(chains));
  const run = instance.exports.run as (rounds: number) => number;
  let flopMs = Infinity;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const sum = run(rounds);
    if (sum !== 2 * chains) throw new DeviceError(`WebAssembly adds up to ${sum}, not ${2 * chains}`);
    flopMs = Math.min(flopMs, performance.now() - start);
  }
  const [x, y] = [backend.allocate("f32", numbers), backend.allocate("f32", numbers)];
  try {
    for (const buffer of [x, y]) backend.write(buffer, new Float32Array(numbers));
    const ms = await wallClock(backend, () => backend.run(accumulateKernel, { x, y }, { size: numbers }));
    return {
      flopsPerSecond: (1000 * rounds * flopsPerRound(chains)) / flopMs,
      bytesPerSecond: (1000 * 12 * numbers) / ms,
      how: "WebAssembly SIMD multiplications and additions in registers, one thread",
    };
  } finally {
    backend.free(x);
    backend.free(y);
  }
}
