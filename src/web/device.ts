/**
 * A device in a web page. Like everything in this room it runs in browsers: neither it nor anything that it imports
 * knows of Bun or Node.
 */
import { openOneThread } from "../devices/cpu/one_thread.ts";
import { openWebGpu } from "../devices/webgpu/backend.ts";
import type { Backend } from "../engine/backend.ts";
import { DeviceError, UsageError } from "../errors.ts";
import { checkOptions, show } from "../options.ts";
import { unshared } from "../wasm/unshared.ts";

export interface PageDeviceOptions {
  /** The contents of build/kernels.wasm. Not needed for "webgpu". */
  readonly kernels?: Uint8Array;
  /**
   * "auto", the default, is WebGPU if there is a GPU, else WebAssembly: WebGPU that computes on the processor is slower.
   */
  readonly device?: "auto" | "webgpu" | "webassembly";
}

export interface PageDevice extends Backend {
  /** As `WebGpuBackend.tune`; absent on WebAssembly. */
  tune?(): Promise<void>;
}

/** @throws DeviceError when the browser has no such device; UsageError for an unknown option */
export async function openInPage(options: PageDeviceOptions): Promise<PageDevice> {
  checkOptions("openInPage", options, { kernels: "any?", device: "string?" });
  const { kernels, device = "auto" } = options;
  switch (device) {
    case "webgpu":
      return openWebGpu();
    case "webassembly":
      return openWebAssembly(kernels);
    case "auto":
      return (await openGpu()) ?? openWebAssembly(kernels);
    default:
      throw new UsageError(`openInPage: device is ${show(device)}, must be auto, webgpu or webassembly`);
  }
}

/** A GPU by WebGPU; undefined where there is none, or only software. */
async function openGpu(): Promise<Backend | undefined> {
  try {
    const backend = await openWebGpu();
    if (backend.adapterKind !== "software") return backend;
    await backend.close();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
  }
  return undefined;
}

async function openWebAssembly(kernels: Uint8Array | undefined): Promise<Backend> {
  if (!kernels) throw new DeviceError("WebAssembly: its kernels were not given: pass the contents of kernels.wasm");
  let module: WebAssembly.Module;
  try {
    module = await WebAssembly.compile(unshared(kernels));
  } catch (cause) {
    throw new DeviceError("WebAssembly: this browser can't run the kernels, which need SIMD: use a newer one", {
      cause,
    });
  }
  return openOneThread(module);
}
