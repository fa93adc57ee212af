import type { Buffers } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Pipelines } from "./pipelines.ts";
import type { Queue, Timer } from "./queue.ts";
import type { Staging } from "./staging.ts";

/** Where times come from. Tests have their own. */
export interface Clock {
  /** The host's time in ms, since any moment. */
  now(): number;
  /** What times kernels, the best first: the device's clock where it can be read, then the host's. */
  readonly timers: readonly (() => Timer)[];
}

/** What a backend on a GPU consists of. */
export interface Parts {
  readonly device: Device;
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  readonly buffers: Buffers;
  readonly staging: Staging;
  readonly clock: Clock;
}
