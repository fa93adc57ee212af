/** The GPUs of this machine: listed, described, ordered and chosen. */
import { read, toBuffer, type Pointer } from "bun:ffi";
import { DeviceError } from "../../errors.ts";
import { setForC } from "../../native/libc.ts";
import { begin, getU32, getU64, room, type Address } from "./arguments.ts";
import type { AdapterDescription, AdapterKind, Feature } from "../gpu/description.ts";
import { addressOf, loadWgpu, type Handle, type Wgpu } from "./library.ts";
import { loadShim, Outcome } from "./shim.ts";
import { instanceDescriptor, LIMITS_BYTES, readLimits } from "./structs.ts";

/** An adapter and its handle, which `releaseAdapters` releases. */
export interface Adapter extends AdapterDescription {
  readonly handle: Handle;
  readonly instance: Handle;
}

/** The GPUs, best first: discrete, integrated, other, software. Empty without a driver. */
export async function listAdapters(): Promise<AdapterDescription[]> {
  const wgpu = await loadWgpu();
  const adapters = openAdapters(wgpu);
  releaseAdapters(wgpu, adapters);
  return adapters.map(({ handle: _, instance: __, ...description }) => description);
}

/**
 * @param wanted part of a name, a kind, or an index in the list; the best GPU that is not software by default
 * @throws DeviceError that lists the available ones
 */
export function chooseAdapter<A extends AdapterDescription>(adapters: readonly A[], wanted?: string | number): A {
  const chosen =
    wanted === undefined
      ? adapters.find((adapter) => adapter.kind !== "software")
      : typeof wanted === "number"
        ? adapters[wanted]
        : ((/^\d+$/.test(wanted) ? adapters[Number(wanted)] : undefined) ??
          adapters.find((adapter) => adapter.kind === wanted.toLowerCase()) ??
          adapters.find((adapter) => adapter.name.toLowerCase().includes(wanted.toLowerCase())));
  if (chosen) return chosen;
  const list = adapters.map(({ name, kind }, i) => `${i}: ${name} (${kind})`).join(", ");
  if (!list) {
    throw new DeviceError(
      "no GPU found: install its driver (Vulkan on Linux; mesa-vulkan-drivers has a software one), or use the cpu",
    );
  }
  throw new DeviceError(
    wanted === undefined
      ? `no GPU found but software; to use it, ask for it by name: ${list}`
      : `no GPU "${wanted}"; available: ${list}`,
  );
}

// Flags of WGPUInstanceBackend.
const VULKAN_METAL_DX12 = (1 << 0) | (1 << 2) | (1 << 3);
const GL = 1 << 1;

const instances = new Map<number, Handle>();

/** One instance for the process, never released: some drivers fail when loaded twice. */
function openInstance(wgpu: Wgpu, backends: number): Handle {
  const open = instances.get(backends);
  if (open) return open;
  begin();
  const instance = wgpu.wgpuCreateInstance(wgpu.native ? instanceDescriptor(backends) : 0) as Handle | null;
  if (!instance) throw new DeviceError("wgpu: no instance could be created");
  instances.set(backends, instance);
  return instance;
}

/** All adapters, in the order of `listAdapters`. */
export function openAdapters(wgpu: Wgpu): Adapter[] {
  quietWayland();
  if (!wgpu.native) return requestAdapter(wgpu);
  let adapters = enumerate(wgpu, wgpu.native, VULKAN_METAL_DX12);
  // OpenGL lists the same GPUs again with lower limits, and loads slowly: only used when there is nothing else.
  if (adapters.length === 0) adapters = enumerate(wgpu, wgpu.native, GL);
  const best = bestFirst(adapters);
  releaseAdapters(
    wgpu,
    adapters.filter((adapter) => !best.includes(adapter)),
  );
  return best;
}

/** In the order of `listAdapters`, and each GPU once: on Windows it appears under both Vulkan and DX12. */
export function bestFirst<A extends AdapterDescription>(adapters: readonly A[]): A[] {
  return adapters
    .filter((a) => !adapters.some((b) => b.name === a.name && order(APIS, b.api) < order(APIS, a.api)))
    .sort((a, b) => order(KINDS, a.kind) - order(KINDS, b.kind) || order(APIS, a.api) - order(APIS, b.api));
}

export function releaseAdapters(wgpu: Wgpu, adapters: readonly Adapter[]): void {
  for (const { handle } of adapters) wgpu.wgpuAdapterRelease(handle);
}

const KINDS: readonly AdapterKind[] = ["discrete", "integrated", "other", "software"];
const APIS = ["Metal", "Vulkan", "DX12", "GL"];

function order(list: readonly string[], item: string): number {
  const at = list.indexOf(item);
  return at < 0 ? list.length : at;
}

function enumerate(wgpu: Wgpu, native: NonNullable<Wgpu["native"]>, backends: number): Adapter[] {
  const instance = openInstance(wgpu, backends);
  begin();
  const list = room(8 * 1024);
  const count = Number(native.wgpuInstanceEnumerateAdapters(instance, 0, list));
  const handles = Array.from({ length: count }, (_, i) => getU64(list + 8 * i) as Handle);
  return handles.map((handle) => ({ handle, instance, ...describe(wgpu, handle) }));
}

/** Dawn's one adapter, if it has a driver: without one it gives an adapter that computes nothing. */
function requestAdapter(wgpu: Wgpu): Adapter[] {
  const instance = openInstance(wgpu, 0);
  const requested = new Outcome();
  loadShim().request_adapter(addressOf(wgpu, "wgpuInstanceRequestAdapter"), instance, requested.memory);
  while (!requested.done) wgpu.wgpuInstanceProcessEvents(instance);
  if (!requested.handle) return [];
  const handle = requested.handle as Handle;
  const adapter = { handle, instance, ...describe(wgpu, handle) };
  if (adapter.api !== "Null") return [adapter];
  releaseAdapters(wgpu, [adapter]);
  return [];
}

/**
 * Mesa's Vulkan drivers look for a display and print an error when there is no session, as over SSH or in a container.
 * With any folder set, they look there and stay silent.
 */
function quietWayland(): void {
  if (process.platform === "linux" && process.env.XDG_RUNTIME_DIR === undefined) setForC("XDG_RUNTIME_DIR", "/");
}

/**
 * struct WGPUAdapterInfo {           // 96 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   WGPUStringView vendor;           //  8
 *   WGPUStringView architecture;     // 24
 *   WGPUStringView device;           // 40
 *   WGPUStringView description;      // 56
 *   uint32_t backendType;            // 72
 *   uint32_t adapterType;            // 76
 *   uint32_t vendorID, deviceID, subgroupMinSize, subgroupMaxSize; // 80
 * };
 */
function describe(wgpu: Wgpu, handle: Handle): AdapterDescription {
  begin();
  const info = room(96);
  wgpu.wgpuAdapterGetInfo(handle, info);
  const limits = room(LIMITS_BYTES);
  wgpu.wgpuAdapterGetLimits(handle, limits);
  const description = {
    name: readText(info + 40).trim() || "unnamed GPU",
    kind: (["other", "discrete", "integrated", "software"] as const)[getU32(info + 76)] ?? "other",
    api: ["", "Null", "", "DX11", "DX12", "Metal", "Vulkan", "GL", "GL"][getU32(info + 72)] || "unknown",
    driver: readText(info + 56).trim(),
    limits: readLimits(limits),
  };
  loadShim().free_adapter_info(addressOf(wgpu, "wgpuAdapterInfoFreeMembers"), info);
  return { ...description, features: [...featuresOf(wgpu, handle).keys()] };
}

/** The text of a WGPUStringView that C filled in. */
function readText(at: Address): string {
  const [data, length] = [getU64(at), getU64(at + 8)];
  return data && length ? new TextDecoder().decode(toBuffer(data as Pointer, 0, length)) : "";
}

/** The values that stand for each feature: WGPUFeatureName's, and wgpu-native's own WGPUNativeFeature's. */
const FEATURES: Readonly<Record<Feature, readonly number[]>> = {
  timestamps: [0x9],
  f16: [0xb],
  // wgpu-native lists its own value, not WebGPU's.
  subgroups: [0x30021, 0x12],
};

/** The features of FEATURES that an adapter has, with the values by which to request them of a device. */
export function featuresOf(wgpu: Wgpu, adapter: Handle): Map<Feature, number> {
  // The values changed from one Dawn to another, and Dawn doesn't tell its version. Without features it is right.
  if (!wgpu.native) return new Map();
  begin();
  // struct WGPUSupportedFeatures { size_t featureCount; uint32_t const *features; };  // 16 bytes
  const supported = room(16);
  wgpu.wgpuAdapterGetFeatures(adapter, supported);
  const [count, list] = [getU64(supported), getU64(supported + 8) as Pointer];
  const listed = Array.from({ length: count }, (_, i) => read.u32(list, 4 * i));
  loadShim().free_features(addressOf(wgpu, "wgpuSupportedFeaturesFreeMembers"), supported);
  return featuresAmong(listed);
}

/** @param listed values of all the features that the library lists */
export function featuresAmong(listed: readonly number[]): Map<Feature, number> {
  const found = new Map<Feature, number>();
  for (const [name, numbers] of Object.entries(FEATURES)) {
    const number = numbers.find((each) => listed.includes(each));
    if (number !== undefined) found.set(name as Feature, number);
  }
  return found;
}
