/** The devices of the model, as their makers describe them. */
import type { Traits } from "./calls.ts";
import type { Roofs } from "./roofs.ts";

export interface ModelDevice extends Roofs, Traits {
  readonly name: string;
  /** The arithmetic as lanes × 2 × clock, and whose figures these are. */
  readonly source: string;
}

/**
 * What kernels reach of the roofs: products half of the arithmetic (the desk check estimates 40% to 60%), all others 80% of
 * the bandwidth.
 */
export const REACHED = { arithmetic: 0.5, memory: 0.8 };

/** Assumed: a dispatch with its barrier, on a card of its own and beside a processor. */
const [DISCRETE_MS, INTEGRATED_MS] = [0.003, 0.006];

/** Two workgroups of 256 threads on each core of 128 lanes, which is what `parallelWorkgroups` should find. */
const workgroups = (lanes: number) => 2 * Math.round(lanes / 128);

function device(
  name: string,
  lanes: number,
  gigahertz: number,
  gigabytes: number,
  launchMs: number,
  source: string,
): ModelDevice {
  return {
    ...{ name, source, launchMs, parallelWorkgroups: workgroups(lanes) },
    flopsPerSecond: 2e9 * lanes * gigahertz,
    bytesPerSecond: 1e9 * gigabytes,
  };
}

export const DEVICES: readonly ModelDevice[] = [
  device("H200", 16_896, 1.98, 4800, DISCRETE_MS, "NVIDIA, H200 datasheet: 67 TFLOP/s, 4.8 TB/s"),
  device("RTX 4090", 16_384, 2.52, 1008, DISCRETE_MS, "NVIDIA, Ada architecture: 82.6 TFLOP/s, 1008 GB/s"),
  device("7900 XTX", 12_288, 2.5, 960, DISCRETE_MS, "AMD: 61 TFLOP/s with two instructions at a time, 960 GB/s"),
  device("M4", 1280, 1.47, 120, INTEGRATED_MS, "Apple: 10 cores, 120 GB/s; the clock is not published, 1.47 GHz"),
  device("Iris Xe", 768, 1.35, 68, INTEGRATED_MS, "Intel: 96 units of 8 lanes, 1.35 GHz; LPDDR4X-4266, 68 GB/s"),
];
