/**
 * A device of the standard API. It reports errors later than the calls that caused them: they are kept here, and thrown
 * by the next call that looks.
 */
import { DeviceError, DeviceLostError, DeviceMemoryError } from "../../errors.ts";
import type { AdapterKind, Limits } from "../gpu/description.ts";
import { LIMITS, type ErrorFilter, type Gpu, type GpuAdapter, type GpuDevice } from "./api.ts";

const SCOPES: readonly ErrorFilter[] = ["validation", "out-of-memory", "internal"];
/** Enabled where the adapter has them. */
const FEATURES = ["timestamp-query", "shader-f16", "subgroups"];
/** How browsers name adapters that compute on the processor. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|warp/i;

export class Device {
  readonly handle: GpuDevice;
  readonly name: string;
  readonly kind: AdapterKind;
  readonly description: string;
  readonly limits: Limits;
  readonly hasTimestamps: boolean;
  readonly hasHalf: boolean;
  /** Whether the driver's compiler may reorder sums, as Metal's does. */
  readonly reordersSums: boolean;
  /** Error scopes whose outcome isn't known yet. */
  readonly #scopes = new Set<Promise<void>>();
  /** The first error since the last `check`. */
  #failure: DeviceError | undefined;
  /** Why the device is lost. */
  #loss: string | undefined;
  #closed = false;

  /** @throws DeviceError when there is no adapter, or it gives no device */
  static async open(gpu: Gpu): Promise<Device> {
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new DeviceError("WebGPU: there is no adapter: the browser or its settings allow no GPU");
    const limits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
    // Limits that aren't requested stay at WebGPU's small defaults, so all of the adapter's are requested.
    const request = {
      requiredFeatures: FEATURES.filter((name) => adapter.features.has(name)),
      requiredLimits: limits,
    };
    try {
      return new Device(adapter, await adapter.requestDevice(request));
    } catch (cause) {
      throw new DeviceError(`${nameOf(adapter)}: it gives no device: ${textOf(cause)}`, { cause });
    }
  }

  private constructor(adapter: GpuAdapter, handle: GpuDevice) {
    const { limits, info } = adapter;
    this.handle = handle;
    this.name = nameOf(adapter);
    this.kind = isSoftware(adapter) ? "software" : "other";
    this.description = `${this.name} (WebGPU)`;
    this.hasTimestamps = adapter.features.has("timestamp-query");
    this.hasHalf = adapter.features.has("shader-f16") && "Float16Array" in globalThis;
    this.reordersSums = info.vendor === "apple";
    this.limits = {
      storageBuffers: limits.maxStorageBuffersPerShaderStage,
      bindingBytes: limits.maxStorageBufferBindingSize - (limits.maxStorageBufferBindingSize % 4),
      bufferBytes: limits.maxBufferSize - (limits.maxBufferSize % 4),
      uniformAlignment: limits.minUniformBufferOffsetAlignment,
      storageAlignment: limits.minStorageBufferOffsetAlignment,
      workgroupBytes: limits.maxComputeWorkgroupStorageSize,
      workgroupThreads: limits.maxComputeInvocationsPerWorkgroup,
      workgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    };
    handle.addEventListener("uncapturederror", ({ error }) =>
      this.#fail(new DeviceError(`${this.name}: ${concise(error.message)}`)),
    );
    void handle.lost.then(({ message }) => (this.#loss ??= concise(message)));
  }

  /** Makes an object. Should that fail, as becomes known later, `check` throws what was being made and why. */
  create<T>(what: string, make: () => T): T {
    for (const scope of SCOPES) this.handle.pushErrorScope(scope);
    try {
      return make();
    } finally {
      for (const scope of SCOPES.toReversed()) this.#keepTrack(what, scope, this.handle.popErrorScope());
    }
  }

  #keepTrack(what: string, scope: ErrorFilter, outcome: Promise<{ readonly message: string } | null>): void {
    const noted = outcome.then(
      (error) => {
        if (!error) return;
        this.#fail(
          scope === "out-of-memory"
            ? new DeviceMemoryError(`${this.name}: ${what}: out of memory: use a smaller batch`)
            : new DeviceError(`${this.name}: ${what}: ${concise(error.message)}`),
        );
      },
      // Rejected when the device is lost, which `lost` tells too.
      () => {},
    );
    this.#scopes.add(noted);
    void noted.finally(() => this.#scopes.delete(noted));
  }

  #fail(error: DeviceError): void {
    this.#failure ??= error;
  }

  /** @throws DeviceError when the device is closed or lost, or a call before has failed as far as is known */
  check(): void {
    if (this.#closed) throw new DeviceError(`${this.name}: used after it was closed`);
    if (this.#loss !== undefined) {
      throw new DeviceLostError(
        `${this.name}: the device is lost (driver reset, a kernel that took too long, or out of memory)${this.#loss && `: ${this.#loss}`}`,
      );
    }
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
  }

  /** Waits for an operation, then for the outcome of all calls before. @throws DeviceError if one of them failed */
  async settle(what: string, operation: Promise<unknown>): Promise<void> {
    const failure = await operation.then(
      () => undefined,
      (error: unknown) => error,
    );
    await Promise.all(this.#scopes);
    // A loss may be told after the failures that it causes.
    if (failure !== undefined) await Promise.race([this.handle.lost, new Promise((done) => setTimeout(done, 100))]);
    this.check();
    if (failure !== undefined) throw new DeviceError(`${this.name}: ${what}: ${textOf(failure)}`, { cause: failure });
  }

  /** Resolves when the work submitted so far is done. @throws DeviceError when the device failed */
  workDone(what = "waiting for the GPU"): Promise<void> {
    return this.settle(what, this.handle.queue.onSubmittedWorkDone());
  }

  /** Loses the device, like a driver reset; for tests. */
  lose(): void {
    this.handle.destroy();
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.handle.destroy();
  }
}

/** Browsers tell little, and not always the same: the first of these that isn't empty. */
function nameOf({ info: { vendor, architecture, device, description } }: GpuAdapter): string {
  return description || device || [vendor, architecture].filter(Boolean).join(" ") || "a GPU";
}

function isSoftware({ info }: GpuAdapter): boolean {
  return info.isFallbackAdapter === true || SOFTWARE.test(`${info.architecture} ${info.device} ${info.description}`);
}

/** A report on one line, without the calls it came through; WGSL errors keep their lines, which point into the kernel. */
function concise(report: string): string {
  const text = report.replace(/\n - While [^]*$/, "").trim();
  return text.includes("^") ? text : text.split(/\s*\n\s*/).join(": ");
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
