/** The interface and options of a suite. */
import type { Network } from "../../src/net/recipe.ts";
import type { Bench, Entrant } from "../bench.ts";
import type { BenchDevice } from "../devices.ts";
import type { Task } from "../layer_piece.ts";

export interface Suite {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  run(bench: Bench, options: SuiteOptions): Promise<void>;
}

export interface SuiteOptions {
  readonly network: Network;
  /** Batch sizes, smallest first. */
  readonly batches: readonly number[];
  /** Run only a part, for the tour. */
  readonly quick: boolean;
  /** A folder or archive of images, for the loader. */
  readonly data?: string;
  /** More contestants at a layer's pass, for matmul and conv. */
  readonly others?: (task: Task, device: BenchDevice) => Entrant[];
}

/** The devices without cpu:blas and cpu:wasm duplicates, which differ only in matrix products. */
export function distinct(devices: readonly BenchDevice[]): BenchDevice[] {
  const first = devices.find(({ backend }) => backend.kind === "cpu");
  return devices.filter((device) => device.backend.kind !== "cpu" || device === first);
}
