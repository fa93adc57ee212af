/**
 * Measures the host's cost of training on a GPU: compiling the kernels once, and encoding and submitting them in every
 * step.
 *
 *   bun bench/encoding.ts [MODEL] [--batch 64] [--steps 300] [--device gpu:0] [--json FILE]
 *
 * Every kernel is dispatched with zero workgroups, so that only the host works: the results are meaningless, and a
 * software GPU, which computes during submission, does not distort the measurement. The calls are the same as in a real
 * step. Times in ms:
 *
 * - `upload`: passing pixels, labels and views, which a step with data already on the device does not need
 * - `first`: from then until the first kernels are submitted, during which an idle GPU waits
 * - `rest`: the remaining kernels, encoded while the GPU computes
 * - `end`: from the results being ready until the caller has them
 *
 * `compiled` is what the first step compiled, as far as it was not in the driver's cache: WGSL translation and validation
 * (`modules`), and the rest (`pipelines`).
 */
import { parseArgs } from "node:util";
import { end, print } from "../src/cli/terminal.ts";
import { centreView } from "../src/data/augmentation.ts";
import { openDevice } from "../src/devices/open.ts";
import { loadWgpu } from "../src/devices/wgpu/library.ts";
import { replaceFile } from "../src/io/files.ts";
import { Model } from "../src/net/model.ts";
import { findNetwork } from "../src/net/networks.ts";
import { uploadMean } from "../src/net/passes.ts";
import { Sgd } from "../src/net/sgd.ts";
import { trainingStep } from "../src/training/step.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "64" },
    steps: { type: "string", default: "300" },
    device: { type: "string", default: "gpu:0" },
    json: { type: "string" },
  },
});
const network = findNetwork(positionals[0] ?? "alexnet");
const [batch, steps] = [Number(values.batch), Number(values.steps)];

/** Timestamps of the current step. */
const at = { written: 0, submitted: 0, mapped: 0 };
let kernels = 0;
let submissions = 0;

type Calls = Record<string, ((...args: unknown[]) => unknown) & { ptr?: unknown }>;
const wgpu = await loadWgpu();
function instead(name: string, call: (original: (...args: unknown[]) => unknown, args: unknown[]) => unknown): void {
  const owner = (name in wgpu ? wgpu : wgpu.native) as unknown as Calls;
  const original = owner[name]!;
  owner[name] = Object.assign((...args: unknown[]) => call(original, args), { ptr: original.ptr });
}
instead("wgpuComputePassEncoderDispatchWorkgroups", (original, [pass]) => {
  kernels++;
  return original(pass, 0, 1, 1);
});
instead("wgpuQueueSubmit", (original, args) => {
  const result = original(...args);
  submissions++;
  if (kernels > 0) at.submitted ||= performance.now();
  return result;
});
const compiled = { count: 0, modules: 0, pipelines: 0 };
for (const [name, part] of [
  ["wgpuDeviceCreateShaderModuleTrusted", "modules"],
  ["wgpuDeviceCreateComputePipeline", "pipelines"],
] as const) {
  instead(name, (original, args) => {
    const start = performance.now();
    const result = original(...args);
    compiled[part] += performance.now() - start;
    if (part === "pipelines") compiled.count++;
    return result;
  });
}
instead("wgpuBufferGetConstMappedRange", (original, args) => {
  at.mapped ||= performance.now();
  return original(...args);
});

const device = await openDevice({ device: values.device });
if (device.kind !== "wgpu") throw new Error(`${values.device} is not a GPU`);
const write = device.write.bind(device);
device.write = (...args) => {
  write(...args);
  at.written = performance.now();
};

const model = new Model(network, device);
model.initialise(0);
const optimiser = new Sgd(model, network.recipe);
const { record, crop, classes } = network;
const mean = uploadMean(device, record, new Float32Array(record * record * 3));
const given = {
  pixels: new Uint8Array(batch * record * record * 3),
  views: centreView(batch, record, crop),
  labels: Uint32Array.from({ length: batch }, (_, n) => n % classes),
  valid: batch,
  seed: 0,
  rateOf: () => 0.01,
};

const times = { upload: [] as number[], first: [] as number[], rest: [] as number[], end: [] as number[] };
for (let step = 0; step < steps; step++) {
  Object.assign(at, { written: 0, submitted: 0, mapped: 0 });
  kernels = submissions = 0;
  const start = performance.now();
  const result = trainingStep(model, optimiser, mean, { ...given, step });
  const queued = performance.now();
  await result;
  const end = performance.now();
  // The first steps compile and allocate; the next ones run in Bun's interpreter.
  if (step < steps / 3) continue;
  times.upload.push(at.written - start);
  times.first.push(at.submitted - at.written);
  times.rest.push(queued - at.submitted);
  times.end.push(end - at.mapped);
}

const round = (ms: number) => Number(ms.toFixed(3));
const summary = (all: number[]) => {
  const sorted = all.toSorted((a, b) => a - b);
  return { best: round(sorted[0]!), median: round(sorted[sorted.length >> 1]!) };
};
const result = {
  model: network.name,
  batch,
  device: device.description,
  kernels,
  submissions,
  compiled: { count: compiled.count, modules: round(compiled.modules), pipelines: round(compiled.pipelines) },
  ms: Object.fromEntries(Object.entries(times).map(([name, all]) => [name, summary(all)])),
  commit: Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"]).stdout.toString().trim(),
  date: new Date().toISOString().slice(0, 10),
};
print(JSON.stringify(result, undefined, 2));
if (values.json) {
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  await replaceFile(values.json, (append) => append(new TextEncoder().encode(text)));
}
await device.close();
await end(0);
