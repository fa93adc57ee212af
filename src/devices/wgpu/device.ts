/** A device and its queue. Turns its errors, which C reports to callbacks, into exceptions. */
import { DeviceError, DeviceLostError, DeviceMemoryError } from "../../errors.ts";
import { chooseAdapter, featuresOf, openAdapters, releaseAdapters, type Adapter } from "./adapters.ts";
import { begin, room, setU32 } from "./arguments.ts";
import type { AdapterKind, Feature, Limits } from "../gpu/description.ts";
import { addressOf, loadWgpu, type Handle, type Wgpu } from "./library.ts";
import { loadShim, Outcome, type Shim } from "./shim.ts";
import { LIMITS_BYTES } from "./structs.ts";

/**
 * WGPUErrorFilter's validation and out-of-memory. Internal errors, 3, make wgpu-native panic, so they stay uncaptured.
 */
const SCOPES = [1, 2] as const;
const SUCCESS = 1;
const NO_ERROR = 1;
/** Of WGPUErrorType. */
const OUT_OF_MEMORY = 3;

/** How the library reports a lost device, without its name. */
const LOST = /\bdevice (?:is |was )?(?:lost|destroyed)\b/i;

/** Outcomes of pending callbacks; those of a lost device may come as late as its release. */
const pending = new Set<Outcome>();

/** A blocking wait first polls without a pause for this long, then at intervals. */
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
  /** How long the last wait took, in ms. */
  #lastWait = 0;
  /** The first report of its loss. */
  #loss: string | undefined;
  /** Whether `lose` was called. */
  #destroyed = false;
  #closed = false;

  /**
   * @param without features not to use
   * @throws DeviceError when there is no such adapter, or its driver provides no device
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
    // Limits that aren't requested stay at WebGPU's small defaults, so all of the adapter's are requested.
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
    // wgpu-native has called back by now, Dawn need not.
    while (!requested.done) wgpu.wgpuInstanceProcessEvents(adapter.instance);
    if (requested.status !== SUCCESS || !requested.handle) {
      throw new DeviceError(`${adapter.name}: the driver provides no device: ${requested.text}`);
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

  get hasHalf(): boolean {
    return this.features.has("f16");
  }

  /** Runs calls into wgpu. @throws DeviceError with the driver's text when one of them fails */
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
    if (failure !== undefined) throw this.#error(failure || "failed without giving a reason", what);
    this.check();
    return result;
  }

  /** Makes a wgpu object. @throws DeviceError with the driver's text; nothing is leaked then */
  create(what: string, make: () => number | bigint | null, release: (handle: Handle) => void): Handle {
    let handle: Handle | undefined;
    try {
      return this.scoped(what, () => (handle = this.made(what, make())));
    } catch (error) {
      // wgpu returns an object even if it is invalid.
      if (handle) release(handle);
      throw error;
    }
  }

  /** Checks an object that C returned, which is NULL only when the device is unusable. */
  made(what: string, handle: number | bigint | null): Handle {
    if (!handle) throw this.#error("the driver returned nothing", what);
    return Number(handle) as Handle;
  }

  /** @throws DeviceError when the device is closed or lost, or an error occurred outside of every scope */
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
   * Runs the callbacks of finished work, and notices a lost device. On a lost device, submitting work, touching mapped
   * memory and `wgpuDevicePoll` all end the process, so this is called before the first two and instead of the third.
   * The device may still be lost between this call and the next. @throws DeviceLostError; DeviceError as `check`
   */
  poll(): void {
    this.check();
    this.#listen();
    this.check();
  }

  #listen(): void {
    this.wgpu.wgpuInstanceProcessEvents(this.instance);
    // A lost device may only report it when asked for something.
    const encoder = this.wgpu.wgpuDeviceCreateCommandEncoder(this.handle, 0);
    if (encoder) this.wgpu.wgpuCommandEncoderRelease(Number(encoder) as Handle);
  }

  #noteLoss(): void {
    if (this.#lost.done) this.#loss ??= this.#lost.text;
    else if (this.#uncaptured.done && LOST.test(this.#uncaptured.text)) this.#loss ??= concise(this.#uncaptured.text);
  }

  /** The library's report as the right kind of error. */
  #error(text: string, what?: string): DeviceError {
    if (this.#loss === undefined && !this.#lost.done && !LOST.test(text)) {
      return new DeviceError(`${this.name}: ${what === undefined ? text : `${what}: ${text}`}`);
    }
    this.#loss ??= text;
    const more = /^(parent )?device (is )?lost$/i.test(this.#loss) ? "" : `: ${this.#loss}`;
    return new DeviceLostError(
      `${this.name}: the device is lost (driver reset, a kernel that took too long, or out of memory)${more}`,
    );
  }

  /**
   * Blocks until the work submitted so far is done; only for timing kernels. @throws DeviceError when the device failed
   */
  wait(): void {
    this.#block("waiting for the GPU", this.#whenDone());
  }

  /** Resolves when the work submitted so far is done. @throws DeviceError when the device failed */
  workDone(): Promise<void> {
    return this.#settle("waiting for the GPU", this.#whenDone());
  }

  /**
   * Resolves when a buffer's first `bytes` can be read, after the work submitted so far. @throws DeviceError when the
   * device failed
   */
  mapped(buffer: Handle, bytes: number): Promise<void> {
    return this.#settle("reading from the GPU", this.#whenMapped(buffer, bytes));
  }

  /** As `mapped`, but blocks. @throws DeviceError when the device failed */
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
   * Polls until a callback has come, letting the event loop run in between. The device idles until its result is
   * noticed, so it is polled without a pause while the callback is likely to come: in the first two milliseconds, and
   * around the time that the last wait took. Otherwise it is polled every millisecond, which leaves the core to the
   * decoders.
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

  /** Blocks, polling until a callback has come, at first without a pause. */
  #block(what: string, outcome: Outcome): void {
    const start = performance.now();
    while (!this.#isDone(what, outcome)) {
      if (performance.now() - start > SPIN_MS) Atomics.wait(NEVER_NOTIFIED, 0, 0, PAUSE_MS);
    }
  }

  /** Whether a callback has come. @throws DeviceError when it, or the device, reports a failure */
  #isDone(what: string, outcome: Outcome): boolean {
    this.poll();
    if (!outcome.done) return false;
    pending.delete(outcome);
    if (outcome.status !== SUCCESS) throw this.#error(outcome.text, what);
    return true;
  }

  /** Loses the device, like a driver reset; for tests. */
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
    // Releasing a device waits for its work, which ends the process if the driver has lost it; such a device is kept.
    if (this.#loss === undefined || this.#destroyed) this.wgpu.wgpuDeviceRelease(this.handle);
  }
}

/** An outcome that isn't garbage-collected before its callback has come. */
function pendingOutcome(): Outcome {
  const outcome = new Outcome();
  pending.add(outcome);
  return outcome;
}

/**
 * wgpu's report on one line, without what is known anyway; WGSL errors keep their lines, which point into the kernel.
 */
function concise(report: string): string {
  const text = report.replace(/^Validation Error\s+Caused by:\s+In wgpu\w+(, label = '[^']*')?\s+/, "");
  return text.includes("┌─") ? text : text.split(/\s*\n\s*/).join(": ");
}
