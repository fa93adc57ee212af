/** What a GPU is, in plain data: also for programs that know nothing of Bun's types. */

export type AdapterKind = "discrete" | "integrated" | "software" | "other";

/** Features that are enabled if the GPU has them. */
export type Feature = "timestamps" | "f16" | "subgroups";

/** The part of WGPULimits that matters for compute. */
export interface Limits {
  readonly storageBuffers: number;
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  readonly uniformAlignment: number;
  readonly storageAlignment: number;
  readonly workgroupBytes: number;
  readonly workgroupThreads: number;
  readonly workgroupsPerDimension: number;
}

export interface AdapterDescription {
  readonly name: string;
  readonly kind: AdapterKind;
  /** The driver's API: Vulkan, Metal, DX12 or GL. */
  readonly api: string;
  readonly driver: string;
  readonly limits: Limits;
  /** Only those used here. */
  readonly features: readonly Feature[];
}
