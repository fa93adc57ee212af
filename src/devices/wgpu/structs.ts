/**
 * Packs the structs of webgpu.h (v29) that are passed by pointer. Above each function is the C layout with byte
 * offsets, which is the same on every 64-bit platform. Structs are valid until the next `begin()` of arguments.ts.
 */
import type { BoundRange } from "../gpu/buffers.ts";
import { getU32, getU64, room, setNoText, setText, setU32, setU64, type Address } from "./arguments.ts";
import type { Limits } from "../gpu/description.ts";
import type { WgpuHandles } from "./handles.ts";
import type { Handle } from "./library.ts";

/** Flags of WGPUBufferUsage. */
export const Usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

/** Values of WGPUBufferBindingType. */
export const Binding = { uniform: 2, storage: 3, readOnlyStorage: 4 } as const;

const STAGE_COMPUTE = 4;
const STYPE_WGSL = 0x2;
const STYPE_INSTANCE_EXTRAS = 0x30004;

/**
 * struct WGPUInstanceDescriptor {    // 32 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   size_t requiredFeatureCount;     //  8
 *   void const *requiredFeatures;    // 16
 *   void const *requiredLimits;      // 24
 * };
 * struct WGPUInstanceExtras {        // 136 bytes
 *   WGPUChainedStruct chain;         //  0: { void *next; uint32_t sType; }
 *   uint64_t backends;               // 16
 *   uint64_t flags;                  // 24
 *   …                                // 32: DX12, GL and display settings; zero means the default
 * };
 */
export function instanceDescriptor(backends: number): Address {
  const extras = room(256);
  setU32(extras + 8, STYPE_INSTANCE_EXTRAS);
  setU64(extras + 16, backends);
  const descriptor = room(32);
  setU64(descriptor, extras);
  return descriptor;
}

/**
 * struct WGPUBufferDescriptor {      // 48 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   WGPUStringView label;            //  8
 *   uint64_t usage;                  // 24
 *   uint64_t size;                   // 32
 *   uint32_t mappedAtCreation;       // 40
 * };
 */
export function bufferDescriptor(size: number, usage: number): Address {
  const descriptor = room(48);
  setU64(descriptor + 24, usage);
  setU64(descriptor + 32, size);
  return descriptor;
}

/**
 * struct WGPUShaderModuleDescriptor { // 24 bytes
 *   WGPUChainedStruct *nextInChain;   //  0
 *   WGPUStringView label;             //  8
 * };
 * struct WGPUShaderSourceWGSL {       // 32 bytes
 *   WGPUChainedStruct chain;          //  0: { void *next; uint32_t sType; }
 *   WGPUStringView code;              // 16
 * };
 */
export function shaderModuleDescriptor(label: string, wgsl: string): Address {
  const source = room(32);
  setU32(source + 8, STYPE_WGSL);
  setText(source + 16, wgsl);
  const descriptor = room(24);
  setU64(descriptor, source);
  setText(descriptor + 8, label);
  return descriptor;
}

interface LayoutEntry {
  readonly type: (typeof Binding)[keyof typeof Binding];
  readonly dynamicOffset: boolean;
}

/**
 * Binding i is entries[i].
 *
 * struct WGPUBindGroupLayoutDescriptor {  // 40 bytes
 *   WGPUChainedStruct *nextInChain;       //  0
 *   WGPUStringView label;                 //  8
 *   size_t entryCount;                    // 24
 *   WGPUBindGroupLayoutEntry const *entries; // 32
 * };
 * struct WGPUBindGroupLayoutEntry {       // 120 bytes
 *   WGPUChainedStruct *nextInChain;       //  0
 *   uint32_t binding;                     //  8
 *   uint64_t visibility;                  // 16
 *   uint32_t bindingArraySize;            // 24
 *   WGPUBufferBindingLayout buffer;       // 32: { void *next; u32 type; u32 hasDynamicOffset; u64 minBindingSize; }
 *   …                                     // 56: sampler, texture and storage texture; zero means "not used"
 * };
 */
export function bindGroupLayoutDescriptor(entries: readonly LayoutEntry[]): Address {
  const list = room(120 * entries.length);
  entries.forEach(({ type, dynamicOffset }, i) => {
    const entry = list + 120 * i;
    setU32(entry + 8, i);
    setU64(entry + 16, STAGE_COMPUTE);
    setU32(entry + 40, type);
    setU32(entry + 44, dynamicOffset ? 1 : 0);
  });
  const descriptor = room(40);
  setU64(descriptor + 24, entries.length);
  setU64(descriptor + 32, list);
  return descriptor;
}

/**
 * Binding i is ranges[i].
 *
 * struct WGPUBindGroupDescriptor {   // 48 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   WGPUStringView label;            //  8
 *   WGPUBindGroupLayout layout;      // 24
 *   size_t entryCount;               // 32
 *   WGPUBindGroupEntry const *entries; // 40
 * };
 * struct WGPUBindGroupEntry {        // 56 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   uint32_t binding;                //  8
 *   WGPUBuffer buffer;               // 16
 *   uint64_t offset;                 // 24
 *   uint64_t size;                   // 32
 *   …                                // 40: sampler and texture view; zero means "none"
 * };
 */
export function bindGroupDescriptor(layout: Handle, ranges: readonly BoundRange<WgpuHandles>[]): Address {
  const list = room(56 * ranges.length);
  ranges.forEach(({ buffer, offset, size }, i) => {
    const entry = list + 56 * i;
    setU32(entry + 8, i);
    setU64(entry + 16, buffer);
    setU64(entry + 24, offset);
    setU64(entry + 32, size);
  });
  const descriptor = room(48);
  setU64(descriptor + 24, layout);
  setU64(descriptor + 32, ranges.length);
  setU64(descriptor + 40, list);
  return descriptor;
}

/**
 * struct WGPUPipelineLayoutDescriptor { // 48 bytes
 *   WGPUChainedStruct *nextInChain;     //  0
 *   WGPUStringView label;               //  8
 *   size_t bindGroupLayoutCount;        // 24
 *   WGPUBindGroupLayout const *bindGroupLayouts; // 32
 *   uint32_t immediateSize;             // 40
 * };
 */
export function pipelineLayoutDescriptor(bindGroupLayout: Handle): Address {
  const descriptor = room(48);
  setU64(descriptor + 24, 1);
  setU64(descriptor + 32, pointers([bindGroupLayout]));
  return descriptor;
}

/**
 * struct WGPUComputePipelineDescriptor { // 80 bytes
 *   WGPUChainedStruct *nextInChain;      //  0
 *   WGPUStringView label;                //  8
 *   WGPUPipelineLayout layout;           // 24
 *   WGPUComputeState compute;            // 32: {
 *     WGPUChainedStruct *nextInChain;    // 32
 *     WGPUShaderModule module;           // 40
 *     WGPUStringView entryPoint;         // 48: none given: the only one that the module has
 *     size_t constantCount;              // 64
 *     WGPUConstantEntry const *constants; // 72
 *   } };
 */
export function computePipelineDescriptor(label: string, layout: Handle, module: Handle): Address {
  const descriptor = room(80);
  setText(descriptor + 8, label);
  setU64(descriptor + 24, layout);
  setU64(descriptor + 40, module);
  setNoText(descriptor + 48);
  return descriptor;
}

/**
 * struct WGPUQuerySetDescriptor {    // 32 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   WGPUStringView label;            //  8
 *   WGPUQueryType type;              // 24: 2, timestamps
 *   uint32_t count;                  // 28
 * };
 */
export function querySetDescriptor(count: number): Address {
  const descriptor = room(32);
  setU32(descriptor + 24, 2);
  setU32(descriptor + 28, count);
  return descriptor;
}

/**
 * A compute pass whose start and end are written to the queries `first` and `first` + 1 of a set.
 *
 * struct WGPUComputePassDescriptor { // 32 bytes
 *   WGPUChainedStruct *nextInChain;  //  0
 *   WGPUStringView label;            //  8
 *   WGPUPassTimestampWrites const *timestampWrites; // 24
 * };
 * struct WGPUPassTimestampWrites {       // 24 bytes
 *   WGPUChainedStruct *nextInChain;      //  0
 *   WGPUQuerySet querySet;               //  8
 *   uint32_t beginningOfPassWriteIndex;  // 16
 *   uint32_t endOfPassWriteIndex;        // 20
 * };
 */
export function timedPassDescriptor(querySet: Handle, first: number): Address {
  const writes = room(24);
  setU64(writes + 8, querySet);
  setU32(writes + 16, first);
  setU32(writes + 20, first + 1);
  const descriptor = room(32);
  setU64(descriptor + 24, writes);
  return descriptor;
}

/** An array of pointers. */
export function pointers(handles: readonly Handle[]): Address {
  const list = room(8 * handles.length);
  handles.forEach((handle, i) => setU64(list + 8 * i, handle));
  return list;
}

export const LIMITS_BYTES = 152;

/**
 * struct WGPULimits {                          // 152 bytes
 *   WGPUChainedStruct *nextInChain;            //   0
 *   uint32_t …                                 //   8: textures, bind groups, samplers
 *   uint32_t maxStorageBuffersPerShaderStage;  //  52
 *   uint32_t …                                 //  56
 *   uint64_t maxStorageBufferBindingSize;      //  72
 *   uint32_t minUniformBufferOffsetAlignment;  //  80
 *   uint32_t minStorageBufferOffsetAlignment;  //  84
 *   uint32_t maxVertexBuffers;                 //  88
 *   uint64_t maxBufferSize;                    //  96
 *   uint32_t …                                 // 104: vertices and colours
 *   uint32_t maxComputeWorkgroupStorageSize;   // 124
 *   uint32_t maxComputeInvocationsPerWorkgroup; // 128
 *   uint32_t maxComputeWorkgroupSizeX, Y, Z;   // 132
 *   uint32_t maxComputeWorkgroupsPerDimension; // 144
 *   uint32_t maxImmediateSize;                 // 148
 * };
 */
export function readLimits(limits: Address): Limits {
  return {
    storageBuffers: getU32(limits + 52),
    bindingBytes: getU64(limits + 72),
    bufferBytes: getU64(limits + 96),
    uniformAlignment: getU32(limits + 80),
    storageAlignment: getU32(limits + 84),
    workgroupBytes: getU32(limits + 124),
    workgroupThreads: getU32(limits + 128),
    workgroupsPerDimension: getU32(limits + 144),
  };
}
