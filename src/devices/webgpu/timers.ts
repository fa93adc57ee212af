/** Times kernels: each runs in its own compute pass. */
import type { KernelTime } from "../../engine/backend.ts";
import { Usage, type GpuBufferObject, type GpuQuerySet, type TimestampWrites } from "./api.ts";
import type { Device } from "./device.ts";
import type { Queue, Timer } from "./queue.ts";
import type { Staging } from "./staging.ts";

/** A timer whose times can be read, once. */
export interface KernelTimer extends Timer {
  /** The times of all kernels, in order. @throws DeviceError when the device failed */
  read(): Promise<KernelTime[]>;
}

export function createTimer(device: Device, queue: Queue, staging: Staging): KernelTimer {
  return device.hasTimestamps ? new DeviceTimer(device, queue, staging) : new HostTimer(device, queue);
}

/** WebGPU's limit on a set's queries; each kernel takes two. */
const SET_QUERIES = 4096;
const SET_BYTES = 8 * SET_QUERIES;

/** Reads the device's clock at the start and end of each pass. Browsers round it, to 0.1 ms or so. */
class DeviceTimer implements KernelTimer {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #staging: Staging;
  readonly #kernels: string[] = [];
  readonly #sets: GpuQuerySet[] = [];

  constructor(device: Device, queue: Queue, staging: Staging) {
    this.#device = device;
    this.#queue = queue;
    this.#staging = staging;
  }

  before(kernel: string): TimestampWrites {
    const first = (2 * this.#kernels.length) % SET_QUERIES;
    if (first === 0) this.#sets.push(this.#createSet());
    this.#kernels.push(kernel);
    return {
      querySet: this.#sets.at(-1)!,
      beginningOfPassWriteIndex: first,
      endOfPassWriteIndex: first + 1,
    };
  }

  after(): void {}

  async read(): Promise<KernelTime[]> {
    const queries = 2 * this.#kernels.length;
    if (queries === 0) return [];
    const ticks = this.#createTicks();
    try {
      for (const [i, set] of this.#sets.entries()) {
        this.#queue.resolve(set, Math.min(SET_QUERIES, queries - i * SET_QUERIES), ticks, i * SET_BYTES);
      }
      const nanoseconds = new BigUint64Array(
        await this.#staging.read({ handle: ticks, offset: 0, bytes: 8 * queries }),
      );
      return this.#kernels.map((kernel, i) => {
        const elapsed = nanoseconds[2 * i + 1]! - nanoseconds[2 * i]!;
        return { kernel, ms: elapsed < 2n ** 63n ? Number(elapsed) / 1e6 : 0 };
      });
    } finally {
      ticks.destroy();
      for (const set of this.#sets) set.destroy();
    }
  }

  #createSet(): GpuQuerySet {
    const { handle } = this.#device;
    return this.#device.create("a set of timestamps", () =>
      handle.createQuerySet({ type: "timestamp", count: SET_QUERIES }),
    );
  }

  #createTicks(): GpuBufferObject {
    const descriptor = { size: this.#sets.length * SET_BYTES, usage: Usage.queryResolve | Usage.copySource };
    return this.#device.create("timestamps", () => this.#device.handle.createBuffer(descriptor));
  }
}

/** Submits each kernel by itself, and takes the host's time when it is done. */
class HostTimer implements KernelTimer {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #kernels: string[] = [];
  readonly #ends: Promise<number>[] = [];
  #start = 0;

  constructor(device: Device, queue: Queue) {
    this.#device = device;
    this.#queue = queue;
  }

  before(kernel: string): undefined {
    if (this.#kernels.length === 0) this.#start = performance.now();
    this.#kernels.push(kernel);
  }

  after(): void {
    this.#queue.flush();
    this.#ends.push(this.#device.handle.queue.onSubmittedWorkDone().then(() => performance.now()));
  }

  async read(): Promise<KernelTime[]> {
    const ends = Promise.all(this.#ends);
    await this.#device.settle("timing kernels", ends);
    return (await ends).map((end, i, all) => ({ kernel: this.#kernels[i]!, ms: end - (all[i - 1] ?? this.#start) }));
  }
}
