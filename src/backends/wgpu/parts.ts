import type { Buffers } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Pipelines } from "./pipelines.ts";
import type { Queue } from "./queue.ts";
import type { Staging } from "./staging.ts";
import type { Clock } from "./timers.ts";

/** What a backend on a GPU consists of. */
export interface Parts {
  readonly device: Device;
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  readonly buffers: Buffers;
  readonly staging: Staging;
  readonly clock: Clock;
}
