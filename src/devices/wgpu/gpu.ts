import type { Buffers } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Pipelines } from "./pipelines.ts";
import type { Queue, Timer } from "./queue.ts";
import type { Staging } from "./staging.ts";

/** A source of times; tests replace it. */
export interface Clock {
  /** The host's time, in ms since an arbitrary moment. */
  now(): number;
  /** Ways to time kernels, best first: the device's clock if it can be read, then the host's. */
  readonly timers: readonly (() => Timer)[];
}

/** The components of a GPU backend. */
export interface Gpu {
  readonly device: Device;
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  readonly buffers: Buffers;
  readonly staging: Staging;
  readonly clock: Clock;
}
