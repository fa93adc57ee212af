/** What the GPU page and its worker say to each other. */
import type { Row, Skipped } from "../../../../bench/results.ts";
import type { DeviceChoice } from "../worker_port.ts";
import type { Facts, KernelResult, Roof } from "./report.ts";

export interface ToWorker {
  readonly device: DeviceChoice;
  /** Only kernels whose name this is a part of, and at most so many seconds for the benchmark: for trials. */
  readonly kernels?: string;
  readonly seconds?: number;
}

export type FromWorker =
  | ({ readonly type: "facts" } & Facts)
  | { readonly type: "checking"; readonly kernel: string; readonly done: number; readonly total: number }
  | {
      readonly type: "checked";
      readonly kernels: readonly KernelResult[];
      readonly cases: number;
      readonly seconds: number;
    }
  | { readonly type: "roof"; readonly roof: Roof }
  | { readonly type: "measuring"; readonly what: string; readonly share: number }
  | { readonly type: "row"; readonly row: Row }
  | { readonly type: "skipped"; readonly skipped: Skipped }
  | { readonly type: "end" }
  /** `during` says what the worker was doing. */
  | { readonly type: "failed"; readonly words: string; readonly during: string; readonly isLost: boolean };
