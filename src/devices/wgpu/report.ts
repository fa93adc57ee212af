/** Counts the objects that wgpu-native holds, for tests of leaks. */
import { DeviceError } from "../../errors.ts";
import { begin, getU64, room } from "./arguments.ts";
import type { Device } from "./device.ts";

const HUBS = [
  "adapters",
  "devices",
  "queues",
  "pipelineLayouts",
  "shaderModules",
  "bindGroupLayouts",
  "bindGroups",
  "commandBuffers",
  "renderBundles",
  "renderPipelines",
  "computePipelines",
  "pipelineCaches",
  "querySets",
  "buffers",
  "textures",
  "textureViews",
  "samplers",
] as const;

export type Counts = Readonly<Record<(typeof HUBS)[number], number>>;

/**
 * struct WGPURegistryReport {  // 32 bytes
 *   size_t numAllocated;       //  0
 *   size_t numKeptFromUser, numReleasedFromUser, elementSize;
 * };
 * struct WGPUGlobalReport {    // 576 bytes
 *   WGPURegistryReport surfaces; // 0
 *   WGPURegistryReport hub[17];  // 32: in the order of HUBS
 * };
 */
export function countObjects({ wgpu, instance, name }: Device): Counts {
  if (!wgpu.native) throw new DeviceError(`${name}: Dawn does not count its objects: unset WGPU_LIB_PATH`);
  begin();
  const report = room(576);
  wgpu.native.wgpuGenerateReport(instance, report);
  return Object.fromEntries(HUBS.map((name, i) => [name, getU64(report + 32 + 32 * i)])) as Counts;
}
