/**
 * `bun test/faults/soak.ts [cpu|cpu-wasm|gpu:0] [steps] [trainings] [images a step]`: 10,000 steps and 200 trainings in
 * one process. It prints what is allocated as JSON lines, and fails if that grows.
 */
import { openCpu } from "../../src/devices/cpu/backend.ts";
import { openWgpu } from "../../src/devices/wgpu/backend.ts";
import { soakSteps, soakTrainings, type Held } from "../support/soak.ts";

/** Allowed growth after the first hundred steps, or the first tenth of the trainings: heap overhead. */
const MEGABYTES = 24;

const [device = "cpu", ...numbers] = process.argv.slice(2);
const [steps = 10_000, trainings = 200, images = 32] = numbers.map(Number);
const gpu = /^gpu:(\d+)$/.exec(device)?.[1];
const backend =
  gpu === undefined ? await openCpu({ blas: device === "cpu" }) : await openWgpu({ adapter: Number(gpu) });
const date = new Date().toISOString().slice(0, 10);
console.log(JSON.stringify({ device, description: backend.description, date, images }));

const print = (what: string) => (held: Held) => console.log(JSON.stringify({ what, ...held }));
const tenths = (from: number, to: number) => [
  from,
  ...Array.from({ length: 10 }, (_, i) => Math.round(((i + 1) * to) / 10)),
];
const bySteps = await soakSteps(backend, steps, images, tenths(100, steps), print("steps"));
await backend.close();
const byTrainings = await soakTrainings(
  gpu === undefined ? "cpu" : device,
  trainings,
  tenths(Math.round(trainings / 10), trainings),
  print("trainings"),
);

const problems = [bySteps, byTrainings].flatMap((moments) => {
  const [first, last] = [moments[0]!, moments.at(-1)!];
  const grown = (["buffers", "bytes", "objects"] as const).filter((key) => last[key] > first[key]);
  const megabytes = last.residentMegabytes - first.residentMegabytes;
  return [
    ...grown.map((key) => `${key} grew from ${first[key]} to ${last[key]}`),
    ...(megabytes > MEGABYTES ? [`resident memory grew by ${megabytes} MB`] : []),
  ];
});
console.log(JSON.stringify({ problems }));
process.exit(problems.length > 0 ? 1 : 0);
