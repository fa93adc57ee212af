/** A device and its queue; and how its errors, which C reports to callbacks, become exceptions here. */
import { DeviceError, DeviceLostError, DeviceMemoryError } from "../../errors.ts";
import {
  chooseAdapter,
  featuresOf,
  openAdapters,
  releaseAdapters,
  type Adapter,
  type AdapterKind,
  type Feature,
} from "./adapters.ts";
import { begin, room, setU32 } from "./arguments.ts";
import { addressOf, loadWgpu, type Handle, type Wgpu } from "./library.ts";
import { loadShim, Outcome, type Shim } from "./shim.ts";
import { LIMITS_BYTES, type Limits } from "./structs.ts";

/** WGPUErrorFilter's validation and out of memory. Internal errors, 3, make wgpu-native panic; they come uncaptured. */
const SCOPES = [1, 2] as const;
const SUCCESS = 1;
const NO_ERROR = 1;
/** Of WGPUErrorType. */
const OUT_OF_MEMORY = 3;

/** What the library says instead of a device's name when it is lost. */
const LOST = /\bdevice (?:is |was )?(?:lost|destroyed)\b/i;

/** Outcomes of callbacks that may still come; those of a device that is lost may come whenever it is released. */
const pending = new Set<Outcome>();

/** A wait that blocks polls without a pause for so long, then every so often. */
const SPIN_MS = 2;
const PAUSE_MS = 0.05;
const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

export class Device {
  readonly wgpu: Wgpu;
  readonly handle: Handle;
  readonly queue: Handle;
  readonly instance: Handle;
  readonly name: string;
  readonly kind: AdapterKind;
  /** Vulkan, Metal, DX12 or GL. */
  readonly api: string;
  readonly description: string;
  readonly limits: Limits;
  readonly features: ReadonlySet<Feature>;
  readonly #shim: Shim = loadShim();
  readonly #lost: Outcome;
  readonly #uncaptured: Outcome;
  readonly #scope = new Outcome();
  /** How long it took the last time, in ms. */
  #lastWait = 0;
  /** What was said of its loss first. */
  #loss: string | undefined;
  /** Whether `lose` was called. */
  #destroyed = false;
  #closed = false;

  /**
   * @param without features that are not to be used
   * @throws DeviceError when there is no such adapter, or its driver gives no device.
   */
  static async open(wanted?: string | number, without: readonly Feature[] = []): Promise<Device> {
    const wgpu = await loadWgpu();
    const adapters = openAdapters(wgpu);
    try {
      return new Device(wgpu, chooseAdapter(adapters, wanted), without);
    } finally {
      releaseAdapters(wgpu, adapters);
    }
  }

  private constructor(wgpu: Wgpu, adapter: Adapter, without: readonly Feature[]) {
    const features = [...featuresOf(wgpu, adapter.handle)].filter(([name]) => !without.includes(name));
    begin();
    const list = room(4 * features.length);
    features.forEach(([, number], i) => setU32(list + 4 * i, number));
    // Limits that are not asked for stay at WebGPU's small defaults, so all of the adapter's are asked for.
    const limits = room(LIMITS_BYTES);
    wgpu.wgpuAdapterGetLimits(adapter.handle, limits);
    const [requested, lost, uncaptured] = [new Outcome(), pendingOutcome(), pendingOutcome()];
    this.#shim.request_device(
      addressOf(wgpu, "wgpuAdapterRequestDevice"),
      adapter.handle,
      features.length,
      list,
      limits,
      requested.memory,
      lost.memory,
      uncaptured.memory,
    );
    if (requested.status !== SUCCESS || !requested.handle) {
      throw new DeviceError(`${adapter.name}: the driver gives no device: ${requested.text}`);
    }
    this.wgpu = wgpu;
    this.handle = requested.handle as Handle;
    this.queue = this.made("queue", wgpu.wgpuDeviceGetQueue(this.handle));
    this.instance = adapter.instance;
    this.name = adapter.name;
    this.kind = adapter.kind;
    this.api = adapter.api;
    this.description = `${adapter.name} (${[adapter.api, adapter.driver].filter(Boolean).join(", ")})`;
    this.limits = adapter.limits;
    this.features = new Set(features.map(([name]) => name));
    this.#lost = lost;
    this.#uncaptured = uncaptured;
  }

  /** Runs calls into wgpu. @throws DeviceError with the driver's text when one of them fails. */
  scoped<T>(what: string, calls: () => T): T {
    for (const filter of SCOPES) this.wgpu.wgpuDevicePushErrorScope(this.handle, filter);
    let failure: string | undefined;
    let memory = false;
    let result: T;
    try {
      result = calls();
    } finally {
      for (const _ of SCOPES) {
        this.#scope.reset();
        this.#shim.pop_error_scope(addressOf(this.wgpu, "wgpuDevicePopErrorScope"), this.handle, this.#scope.memory);
        if (this.#scope.done && this.#scope.status !== NO_ERROR) {
          failure ??= concise(this.#scope.text);
          memory ||= this.#scope.status === OUT_OF_MEMORY;
        }
      }
    }
    if (memory) throw new DeviceMemoryError(`${this.name}: ${what}: out of memory: use a smaller batch`);
    if (failure !== undefined) throw this.#error(failure || "failed without a reason", what);
    this.check();
    return result;
  }

  /** Makes a wgpu object. @throws DeviceError with the driver's text; nothing is left behind then. */
  create(what: string, make: () => number | bigint | null, release: (handle: Handle) => void): Handle {
    let handle: Handle | undefined;
    try {
      return this.scoped(what, () => (handle = this.made(what, make())));
    } catch (error) {
      // wgpu hands out an object even when it is unusable.
      if (handle) release(handle);
      throw error;
    }
  }

  /** An object that C returned, which is NULL only when the device is unusable. */
  made(what: string, handle: number | bigint | null): Handle {
    if (!handle) throw this.#error("the driver returned nothing", what);
    return Number(handle) as Handle;
  }

  /** @throws DeviceError when the device is closed or lost, or an error came outside of every scope. */
  check(): void {
    if (this.#closed) throw new DeviceError(`${this.name}: used after it was closed`);
    this.#noteLoss();
    if (this.#loss !== undefined) throw this.#error(this.#loss);
    if (this.#uncaptured.done) {
      const text = concise(this.#uncaptured.text);
      this.#uncaptured.reset();
      throw this.#error(text);
    }
  }

  /**
   * Runs the callbacks of work that is done, and notices a lost device. It is called before work is submitted and before
   * mapped memory is touched, which ends the process on a lost device, and instead of `wgpuDevicePoll`, which does too.
   * A device may still be lost between this call and the next. @throws DeviceLostError; DeviceError as `check`
   */
  poll(): void {
    this.check();
    this.#listen();
    this.check();
  }

  #listen(): void {
    this.wgpu.wgpuInstanceProcessEvents(this.instance);
    // A lost device may only say so when it is asked for something.
    const encoder = this.wgpu.wgpuDeviceCreateCommandEncoder(this.handle, 0);
    if (encoder) this.wgpu.wgpuCommandEncoderRelease(Number(encoder) as Handle);
  }

  #noteLoss(): void {
    if (this.#lost.done) this.#loss ??= this.#lost.text;
    else if (this.#uncaptured.done && LOST.test(this.#uncaptured.text)) this.#loss ??= concise(this.#uncaptured.text);
  }

  /** What the library said, as an error of the right kind. */
  #error(text: string, what?: string): DeviceError {
    if (this.#loss === undefined && !this.#lost.done && !LOST.test(text)) {
      return new DeviceError(`${this.name}: ${what === undefined ? text : `${what}: ${text}`}`);
    }
    this.#loss ??= text;
    const more = /^(parent )?device (is )?lost$/i.test(this.#loss) ? "" : `: ${this.#loss}`;
    return new DeviceLostError(
      `${this.name}: the device is lost (driver reset, too long a kernel, or out of memory)${more}`,
    );
  }

  /** Blocks until the work submitted so far is done: only where kernels are timed. @throws DeviceError */
  wait(): void {
    this.#block("waiting for the GPU", this.#whenDone());
  }

  /** Resolves when the work submitted so far is done. @throws DeviceError */
  workDone(): Promise<void> {
    return this.#settle("waiting for the GPU", this.#whenDone());
  }

  /** Resolves when a buffer's first `bytes` can be read from here, after the work submitted so far. @throws DeviceError */
  mapped(buffer: Handle, bytes: number): Promise<void> {
    return this.#settle("reading from the GPU", this.#whenMapped(buffer, bytes));
  }

  /** The same, and blocks until then. @throws DeviceError */
  mapNow(buffer: Handle, bytes: number): void {
    this.#block("reading from the GPU", this.#whenMapped(buffer, bytes));
  }

  #whenDone(): Outcome {
    const outcome = pendingOutcome();
    this.#shim.when_done(addressOf(this.wgpu, "wgpuQueueOnSubmittedWorkDone"), this.queue, outcome.memory);
    return outcome;
  }

  #whenMapped(buffer: Handle, bytes: number): Outcome {
    const outcome = pendingOutcome();
    this.#shim.map_to_read(addressOf(this.wgpu, "wgpuBufferMapAsync"), buffer, bytes, outcome.memory);
    return outcome;
  }

  /**
   * Polls until a callback came, and lets the event loop run in between. The device waits for whoever waits for it, so
   * it is polled without a pause while the callback is likely to come: for the first two milliseconds, and around the
   * time that the last wait took. Otherwise it is polled every millisecond, which leaves the core to the decoders.
   */
  async #settle(what: string, outcome: Outcome): Promise<void> {
    const start = performance.now();
    while (!this.#isDone(what, outcome)) {
      const waited = performance.now() - start;
      const isSoon = waited > 0.8 * this.#lastWait - 1 && waited < 1.2 * this.#lastWait + 2;
      if (isSoon) await new Promise((resolve) => setImmediate(resolve));
      else await Bun.sleep(1);
    }
    this.#lastWait = performance.now() - start;
  }

  /** Polls until a callback came, without a pause at first, and does not return before. */
  #block(what: string, outcome: Outcome): void {
    const start = performance.now();
    while (!this.#isDone(what, outcome)) {
      if (performance.now() - start > SPIN_MS) Atomics.wait(NEVER_NOTIFIED, 0, 0, PAUSE_MS);
    }
  }

  /** Whether a callback came. @throws DeviceError when it, or the device, reports a failure */
  #isDone(what: string, outcome: Outcome): boolean {
    this.poll();
    if (!outcome.done) return false;
    pending.delete(outcome);
    if (outcome.status !== SUCCESS) throw this.#error(outcome.text, what);
    return true;
  }

  /** Loses it, as a driver does that resets: for tests. */
  lose(): void {
    this.#destroyed = true;
    this.wgpu.wgpuDeviceDestroy(this.handle);
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#listen();
    this.#noteLoss();
    this.#closed = true;
    this.wgpu.wgpuQueueRelease(this.queue);
    this.wgpu.wgpuDeviceDestroy(this.handle);
    // Releasing a device waits for its work, which ends the process where the driver has lost it: that one is kept.
    if (this.#loss === undefined || this.#destroyed) this.wgpu.wgpuDeviceRelease(this.handle);
  }
}

/** An outcome that is kept from garbage collection until its callback came. */
function pendingOutcome(): Outcome {
  const outcome = new Outcome();
  pending.add(outcome);
  return outcome;
}

/** wgpu's report in one line, without what is known; WGSL errors keep their lines, which point into the kernel. */
function concise(report: string): string {
  const text = report.replace(/^Validation Error\s+Caused by:\s+In wgpu\w+(, label = '[^']*')?\s+/, "");
  return text.includes("┌─") ? text : text.split(/\s*\n\s*/).join(": ");
}
