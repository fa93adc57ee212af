/**
 * The part of the standard WebGPU API that is used here, as types: browsers have it, and Deno, and Node by a package.
 * What it means is in https://www.w3.org/TR/webgpu.
 */

export interface Gpu {
  requestAdapter(options?: { readonly powerPreference?: "high-performance" }): Promise<GpuAdapter | null>;
}

export interface GpuAdapter {
  readonly features: { has(name: string): boolean };
  readonly limits: Readonly<Record<LimitName, number>>;
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
  requestDevice(descriptor: {
    readonly requiredFeatures: readonly string[];
    readonly requiredLimits: Readonly<Record<string, number>>;
  }): Promise<GpuDevice>;
}

/** The limits that matter for compute. */
export const LIMITS = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "minUniformBufferOffsetAlignment",
  "minStorageBufferOffsetAlignment",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;
export type LimitName = (typeof LIMITS)[number];

export interface GpuDevice {
  readonly queue: GpuQueue;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  createBuffer(descriptor: { readonly size: number; readonly usage: number }): GpuBufferObject;
  createBindGroupLayout(descriptor: { readonly entries: readonly object[] }): object;
  createPipelineLayout(descriptor: { readonly bindGroupLayouts: readonly object[] }): object;
  createBindGroup(descriptor: { readonly layout: object; readonly entries: readonly object[] }): object;
  createShaderModule(descriptor: { readonly code: string; readonly label: string }): object;
  createComputePipeline(descriptor: {
    readonly label: string;
    readonly layout: object;
    readonly compute: { readonly module: object; readonly entryPoint?: string };
  }): object;
  createQuerySet(descriptor: { readonly type: "timestamp"; readonly count: number }): GpuQuerySet;
  createCommandEncoder(): GpuCommandEncoder;
  pushErrorScope(filter: ErrorFilter): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
  addEventListener(type: "uncapturederror", listener: (event: { readonly error: Error }) => void): void;
  destroy(): void;
}

export type ErrorFilter = "validation" | "out-of-memory" | "internal";

export interface GpuBufferObject {
  mapAsync(mode: number, offset: number, size: number): Promise<void>;
  getMappedRange(offset: number, size: number): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuQuerySet {
  destroy(): void;
}

export interface GpuQueue {
  submit(commands: readonly object[]): void;
  writeBuffer(target: GpuBufferObject, offset: number, data: ArrayBufferLike, from: number, bytes: number): void;
  onSubmittedWorkDone(): Promise<void>;
}

export interface GpuCommandEncoder {
  beginComputePass(descriptor?: { readonly timestampWrites?: TimestampWrites }): GpuComputePass;
  copyBufferToBuffer(
    source: GpuBufferObject,
    sourceOffset: number,
    target: GpuBufferObject,
    targetOffset: number,
    bytes: number,
  ): void;
  resolveQuerySet(set: GpuQuerySet, first: number, count: number, target: GpuBufferObject, offset: number): void;
  finish(): object;
}

/** Where the device's clock is written at the start and end of a pass. */
export interface TimestampWrites {
  readonly querySet: GpuQuerySet;
  readonly beginningOfPassWriteIndex: number;
  readonly endOfPassWriteIndex: number;
}

export interface GpuComputePass {
  setPipeline(pipeline: object): void;
  setBindGroup(index: number, group: object, offsets: Uint32Array, start: number, length: number): void;
  dispatchWorkgroups(x: number, y: number, z: number): void;
  end(): void;
}

/** Flags of GPUBufferUsage. */
export const Usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

export const MAP_READ = 1;
export const STAGE_COMPUTE = 4;

/** WebGPU's objects in JavaScript. */
export interface WebGpuHandles {
  readonly buffer: GpuBufferObject;
  readonly group: object;
  readonly layout: { readonly bindGroups: object; readonly pipelines: object };
  readonly pipeline: object;
}
