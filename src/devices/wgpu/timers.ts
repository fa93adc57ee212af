/** Times kernels: each runs in its own compute pass, between two readings of a clock. */
import type { KernelTime } from "../../engine/backend.ts";
import { DeviceError } from "../../errors.ts";
import { begin, type Address } from "./arguments.ts";
import { createBuffer } from "./buffers.ts";
import type { Device } from "./device.ts";
import type { Clock, Gpu } from "./gpu.ts";
import type { Handle } from "./library.ts";
import type { Queue, Timer } from "./queue.ts";
import type { BufferRange, Staging } from "./staging.ts";
import { querySetDescriptor, timedPassDescriptor, Usage } from "./structs.ts";

export function createClock(device: Device, queue: Queue, staging: Staging): Clock {
  const host = () => new HostTimer(device, queue);
  const timers = device.features.has("timestamps") ? [() => new DeviceTimer(device, queue, staging), host] : [host];
  return { now: () => performance.now(), timers };
}

/**
 * The minimum time of a number of runs of one or more kernels, in ms. Blocks until they are done. Runs in which a time is
 * not above 0, from equal or wrong timestamps, are dropped; if none is left, the next timer is used.
 *
 * @param dispatch queues one run, always of the same kernels
 * @throws DeviceError when the device failed, or no timer gives a time
 */
export function leastTime({ device, queue, clock }: Gpu, runs: number, dispatch: () => void): number {
  const outer = queue.timer;
  for (const createTimer of clock.timers) {
    const timer = createTimer();
    try {
      queue.timer = timer;
      for (let run = 0; run < runs; run++) dispatch();
      const times = timer.readNow().map(({ ms }) => (ms > 0 ? ms : Infinity));
      const kernels = times.length / runs;
      const sums = Array.from({ length: runs }, (_, run) =>
        times.slice(run * kernels, (run + 1) * kernels).reduce((sum, ms) => sum + ms, 0),
      );
      const least = Math.min(...sums);
      if (least > 0 && least < Infinity) return least;
    } finally {
      queue.timer = outer;
      timer.close();
    }
  }
  throw new DeviceError(`${device.name}: neither its clock nor the host's measured a time`);
}

/** WebGPU's limit on a set's queries; each kernel takes two. */
const SET_QUERIES = 4096;
const SET_BYTES = 8 * SET_QUERIES;

/** Reads the device's clock at the start and end of each pass. */
class DeviceTimer implements Timer {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #staging: Staging;
  readonly #kernels: string[] = [];
  readonly #sets: Handle[] = [];
  #ticks: Handle | undefined;

  constructor(device: Device, queue: Queue, staging: Staging) {
    this.#device = device;
    this.#queue = queue;
    this.#staging = staging;
  }

  before(kernel: string): Address {
    const first = (2 * this.#kernels.length) % SET_QUERIES;
    if (first === 0) this.#sets.push(this.#createSet());
    this.#kernels.push(kernel);
    begin();
    return timedPassDescriptor(this.#sets.at(-1)!, first);
  }

  after(): void {}

  async read(): Promise<KernelTime[]> {
    return this.#kernels.length === 0 ? [] : this.#times(await this.#staging.read(this.#resolve()));
  }

  readNow(): KernelTime[] {
    return this.#kernels.length === 0 ? [] : this.#times(this.#staging.readNow(this.#resolve()));
  }

  close(): void {
    const { wgpu } = this.#device;
    for (const set of this.#sets.splice(0)) wgpu.wgpuQuerySetRelease(set);
    if (this.#ticks) wgpu.wgpuBufferRelease(this.#ticks);
    this.#ticks = undefined;
  }

  #createSet(): Handle {
    const { wgpu, handle } = this.#device;
    begin();
    return this.#device.create(
      "a set of timestamps",
      () => wgpu.wgpuDeviceCreateQuerySet(handle, querySetDescriptor(SET_QUERIES)),
      wgpu.wgpuQuerySetRelease,
    );
  }

  /** Queues copies of all sets, one after another, to a buffer. */
  #resolve(): BufferRange {
    this.#ticks = createBuffer(
      this.#device,
      this.#sets.length * SET_BYTES,
      Usage.queryResolve | Usage.copySource,
      `${this.#kernels.length} pairs of timestamps`,
    );
    const queries = 2 * this.#kernels.length;
    for (const [i, set] of this.#sets.entries()) {
      this.#queue.resolve(set, Math.min(SET_QUERIES, queries - i * SET_QUERIES), this.#ticks, i * SET_BYTES);
    }
    return { handle: this.#ticks, offset: 0, bytes: 8 * queries };
  }

  #times(data: ArrayBuffer): KernelTime[] {
    const readings = new BigUint64Array(data);
    const { wgpu, queue } = this.#device;
    // Dawn gives nanoseconds, as webgpu.h says; wgpu-native the GPU's ticks.
    const nanoseconds = wgpu.native?.wgpuQueueGetTimestampPeriod(queue) ?? 1;
    return this.#kernels.map((kernel, i) => ({
      kernel,
      ms: (elapsed(readings[2 * i]!, readings[2 * i + 1]!) * nanoseconds) / 1e6,
    }));
  }
}

/** Ticks between two readings of a clock that may wrap around: it may have as few as 36 bits (Vulkan's minimum). */
function elapsed(start: bigint, end: bigint): number {
  const ticks = BigInt.asIntN(36, end - start);
  return ticks > 0n ? Number(ticks) : 0;
}

/** Waits for each kernel and reads the host's clock, so its times include submission. */
class HostTimer implements Timer {
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #times: KernelTime[] = [];
  #kernel = "";
  #start = 0;

  constructor(device: Device, queue: Queue) {
    this.#device = device;
    this.#queue = queue;
  }

  before(kernel: string): Address {
    this.#kernel = kernel;
    this.#start = performance.now();
    return 0;
  }

  after(): void {
    this.#queue.flush();
    this.#device.wait();
    this.#times.push({ kernel: this.#kernel, ms: performance.now() - this.#start });
  }

  read(): Promise<KernelTime[]> {
    return Promise.resolve(this.readNow());
  }

  readNow(): KernelTime[] {
    return [...this.#times];
  }

  close(): void {}
}
