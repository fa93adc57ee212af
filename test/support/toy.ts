/** A network with every kind of layer, small enough for plain loops, and devices to time it on. */
import { Bench, type Limits } from "../../bench/bench.ts";
import type { BenchDevice } from "../../bench/devices.ts";
import { FORMAT, times, type Results, type Row } from "../../bench/results.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { openReference } from "../../src/engine/reference.ts";
import { small } from "../../src/net/cifar_networks.ts";
import {
  averagePool,
  conv,
  dropout,
  fc,
  local,
  lrn,
  mapNorm,
  maxPool,
  relu,
  tanh,
} from "../../src/net/layers/index.ts";
import type { Network } from "../../src/net/recipe.ts";

export const toy: Network = {
  ...small,
  name: "toy",
  crop: 15,
  record: 18,
  classes: 4,
  layers: (classes) => [
    ...[conv("conv1", 4, 5, { stride: 2, pad: 1, sigma: 0.05 }), relu(), lrn({ n: 3, k: 2, alpha: 0.01, beta: 0.75 })],
    ...[maxPool(2, 1), conv("conv2", 6, 3, { pad: 1, groups: 2, sigma: 0.1 }), tanh()],
    ...[mapNorm({ size: 3, k: 1, alpha: 0.01, beta: 0.75 }), local("local3", 3, 3, { pad: 1, sigma: 0.1 })],
    ...[averagePool(3, 2), fc("fc4", 8, { sigma: 0.2 }), relu(), dropout(), fc("fc5", classes, { sigma: 0.2 })],
  ],
};

/** One measurement of everything, however long it takes. */
export const ONCE: Limits = { rowMs: 0, least: 2, most: 2, passMs: 60_000 };

/** The plain loops as a device. */
export function referenceDevice(change: (backend: Backend) => Partial<Backend> = () => ({})): BenchDevice {
  const backend = openReference("f32");
  return {
    device: "plain",
    description: "plain loops",
    backend: { ...backend, ...change(backend) },
    roof: { flopsPerSecond: 1e9, bytesPerSecond: 1e9, how: "not measured" },
    isSoftware: false,
  };
}

export function benchOn(devices: readonly BenchDevice[], limits: Limits = ONCE): Bench {
  return new Bench(devices, limits, { working() {}, row() {}, skipped() {} });
}

export function row(samples: readonly number[], rest: Partial<Row> = {}): Row {
  return {
    ...{ suite: "conv", name: "conv1 forward, batch 128", contestant: "conv2d", device: "cpu:blas" },
    ...{ work: { unit: "flop", amount: 1e9 }, ms: times(samples), clock: "device", check: "not at all" },
    ...rest,
  };
}

export function results(rows: readonly Row[], rest: Partial<Results> = {}): Results {
  return {
    format: FORMAT,
    machine: {
      ...{ processor: "2 × Test", cores: 2, memoryBytes: 1, os: "linux x64, 6", bun: "1.4.5" },
      ...{ commit: "abc1234", dirty: false, date: "2026-11-24T12:00:00Z" },
    },
    devices: [{ device: "cpu:blas", description: "2 threads, OpenBLAS" }],
    rows,
    skipped: [],
    ...rest,
  };
}
