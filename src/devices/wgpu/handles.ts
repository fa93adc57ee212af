import type { Handle } from "./library.ts";

/** wgpu-native's objects, by their pointers. */
export interface WgpuHandles {
  readonly buffer: Handle;
  readonly group: Handle;
  readonly layout: { readonly bindGroups: Handle; readonly pipelines: Handle };
  readonly pipeline: Handle;
}
