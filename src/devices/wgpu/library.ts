/**
 * The library behind the GPUs: wgpu-native, or Dawn where WGPU_LIB_PATH names it. Both implement webgpu.h; of either,
 * the functions that are used are here.
 */
import { dlopen, type FFIFunction, type Library, type Pointer } from "bun:ffi";
import { DeviceError } from "../../errors.ts";
import { findWgpu } from "../../native/libraries.ts";

/** A wgpu object (`WGPUBuffer`, `WGPUDevice`, …): an opaque pointer. */
export type Handle = Pointer;

/** Those of webgpu.h. Every argument is one machine word; calls that pass structs by value are in shim.c. */
const standard = {
  wgpuCreateInstance: { args: ["u64"], returns: "ptr" },
  wgpuInstanceProcessEvents: { args: ["ptr"], returns: "void" },
  wgpuInstanceRequestAdapter: { args: [], returns: "void" },

  wgpuAdapterGetInfo: { args: ["ptr", "u64"], returns: "u32" },
  wgpuAdapterGetLimits: { args: ["ptr", "u64"], returns: "u32" },
  wgpuAdapterGetFeatures: { args: ["ptr", "u64"], returns: "void" },
  wgpuAdapterRelease: { args: ["ptr"], returns: "void" },
  wgpuAdapterRequestDevice: { args: [], returns: "void" },
  wgpuAdapterInfoFreeMembers: { args: [], returns: "void" },
  wgpuSupportedFeaturesFreeMembers: { args: [], returns: "void" },

  wgpuDeviceGetQueue: { args: ["ptr"], returns: "ptr" },
  wgpuDevicePushErrorScope: { args: ["ptr", "u32"], returns: "void" },
  wgpuDevicePopErrorScope: { args: [], returns: "void" },
  wgpuDeviceCreateBuffer: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreateShaderModule: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreateBindGroupLayout: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreatePipelineLayout: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreateComputePipeline: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreateBindGroup: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreateCommandEncoder: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceCreateQuerySet: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuDeviceDestroy: { args: ["ptr"], returns: "void" },
  wgpuDeviceRelease: { args: ["ptr"], returns: "void" },

  wgpuCommandEncoderBeginComputePass: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuCommandEncoderCopyBufferToBuffer: { args: ["ptr", "ptr", "u64", "ptr", "u64", "u64"], returns: "void" },
  wgpuCommandEncoderResolveQuerySet: { args: ["ptr", "ptr", "u32", "u32", "ptr", "u64"], returns: "void" },
  wgpuCommandEncoderFinish: { args: ["ptr", "u64"], returns: "ptr" },
  wgpuCommandEncoderRelease: { args: ["ptr"], returns: "void" },
  wgpuCommandBufferRelease: { args: ["ptr"], returns: "void" },
  wgpuComputePassEncoderSetPipeline: { args: ["ptr", "ptr"], returns: "void" },
  wgpuComputePassEncoderSetBindGroup: { args: ["ptr", "u32", "ptr", "u64", "u64"], returns: "void" },
  wgpuComputePassEncoderDispatchWorkgroups: { args: ["ptr", "u32", "u32", "u32"], returns: "void" },
  wgpuComputePassEncoderEnd: { args: ["ptr"], returns: "void" },
  wgpuComputePassEncoderRelease: { args: ["ptr"], returns: "void" },

  wgpuQueueSubmit: { args: ["ptr", "u64", "u64"], returns: "void" },
  wgpuQueueWriteBuffer: { args: ["ptr", "ptr", "u64", "ptr", "u64"], returns: "void" },
  wgpuQueueOnSubmittedWorkDone: { args: [], returns: "void" },
  wgpuQueueRelease: { args: ["ptr"], returns: "void" },

  wgpuBufferMapAsync: { args: [], returns: "void" },
  wgpuBufferGetConstMappedRange: { args: ["ptr", "u64", "u64"], returns: "ptr" },
  wgpuBufferUnmap: { args: ["ptr"], returns: "void" },
  wgpuBufferDestroy: { args: ["ptr"], returns: "void" },
  wgpuBufferRelease: { args: ["ptr"], returns: "void" },
  wgpuQuerySetRelease: { args: ["ptr"], returns: "void" },
  wgpuBindGroupRelease: { args: ["ptr"], returns: "void" },
  wgpuBindGroupLayoutRelease: { args: ["ptr"], returns: "void" },
  wgpuPipelineLayoutRelease: { args: ["ptr"], returns: "void" },
  wgpuShaderModuleRelease: { args: ["ptr"], returns: "void" },
  wgpuComputePipelineRelease: { args: ["ptr"], returns: "void" },
} as const satisfies Record<string, FFIFunction>;

const version = { wgpuGetVersion: { args: [], returns: "u32" } } as const;

/** What wgpu-native 29 has beyond that, by its wgpu.h. */
const extensions = {
  ...version,
  wgpuInstanceEnumerateAdapters: { args: ["ptr", "u64", "u64"], returns: "u64" },
  wgpuGenerateReport: { args: ["ptr", "u64"], returns: "void" },
  wgpuDeviceCreateShaderModuleTrusted: { args: ["ptr", "u64", "u64"], returns: "ptr" },
  wgpuQueueGetTimestampPeriod: { args: ["ptr"], returns: "f32" },
} as const satisfies Record<string, FFIFunction>;

type Standard = Library<typeof standard>["symbols"];

export interface Wgpu extends Standard {
  /** Undefined if the library is Dawn. */
  readonly native: Library<typeof extensions>["symbols"] | undefined;
}

/** The version of wgpu-native whose structs are packed here: major, minor, patch and build, one byte each. */
const VERSION = 0x1d000101;

let loading: Promise<Wgpu> | undefined;

/** Loads the library, once. @throws DeviceError when it is missing or another version */
export function loadWgpu(): Promise<Wgpu> {
  return (loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  }));
}

async function load(): Promise<Wgpu> {
  const { path, loadPath } = await findWgpu();
  const found = versionAt(loadPath);
  // Structs differ between major versions, and a wrong one would crash the process.
  if (found !== undefined && found >>> 24 !== VERSION >>> 24) {
    throw new DeviceError(
      `wgpu-native at ${path} is version ${format(found)}, but ${format(VERSION)} is needed: unset WGPU_LIB_PATH to have it fetched`,
    );
  }
  try {
    const native = found === undefined ? undefined : dlopen(loadPath, extensions).symbols;
    return { ...dlopen(loadPath, standard).symbols, native };
  } catch (error) {
    throw new DeviceError(`wgpu-native can't be loaded from ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** That of wgpu-native; undefined for Dawn, and for what is no library at all. */
function versionAt(loadPath: string): number | undefined {
  try {
    return dlopen(loadPath, version).symbols.wgpuGetVersion();
  } catch {
    return undefined;
  }
}

/** What the library is, such as wgpu-native 29.0.1.1. */
export function identityOf({ native }: Wgpu): { readonly name: string; readonly version?: string } {
  return native ? { name: "wgpu-native", version: format(native.wgpuGetVersion()) } : { name: "Dawn" };
}

function format(version: number): string {
  return [24, 16, 8, 0].map((shift) => (version >>> shift) & 255).join(".");
}

/** For the shim: the address of a function whose signature bun:ffi can't express. */
export function addressOf(wgpu: Wgpu, name: keyof Standard): Pointer {
  return (wgpu[name] as unknown as { readonly ptr: Pointer }).ptr;
}
