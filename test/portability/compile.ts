/**
 * `bun test/portability/compile.ts ADAPTER [KERNEL…]`: how long a GPU's driver takes to compile these kernels with their
 * variants, or all.
 */
import { Device } from "../../src/devices/wgpu/device.ts";
import { Pipelines } from "../../src/devices/wgpu/pipelines.ts";
import { casesOf } from "../../src/engine/ops/cases.ts";

const [adapter, ...names] = process.argv.slice(2);
const device = await Device.open(adapter);
const pipelines = new Pipelines(device, false);
const kernels = [...new Map(casesOf("wgpu").map(({ kernel }) => [kernel.name, kernel])).values()];
const times = kernels
  .filter(({ name }) => names.length === 0 || names.includes(name))
  .flatMap((kernel) =>
    [kernel, ...(kernel.variants ?? [])].map((form) => {
      const start = performance.now();
      pipelines.pipeline(pipelines.program(kernel), form);
      return { name: form.name, ms: performance.now() - start };
    }),
  );
const slowest = times.reduce((a, b) => (a.ms > b.ms ? a : b));
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
console.log(
  `${device.description}: ${times.length} kernels and variants compiled in ` +
    `${seconds(times.reduce((sum, { ms }) => sum + ms, 0))}, the slowest, ${slowest.name}, in ${seconds(slowest.ms)}`,
);
pipelines.close();
device.close();
