/** What a suite is, and what it may be told. */
import type { Network } from "../../src/net/recipe.ts";
import type { Bench } from "../bench.ts";
import type { BenchDevice } from "../devices.ts";

export interface Suite {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  run(bench: Bench, options: SuiteOptions): Promise<void>;
}

export interface SuiteOptions {
  readonly network: Network;
  /** Images at a time, smallest first. */
  readonly batches: readonly number[];
  /** A part of it, for the tour. */
  readonly quick: boolean;
  /** A folder or archive of images, for the loader. */
  readonly data?: string;
}

/** The devices that differ in what has no matrix products: with and without BLAS the cpu's kernels are the same. */
export function distinct(devices: readonly BenchDevice[]): BenchDevice[] {
  const first = devices.find(({ backend }) => backend.kind === "cpu");
  return devices.filter((device) => device.backend.kind !== "cpu" || device === first);
}
