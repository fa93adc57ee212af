/** The types by which an API of GPUs names its objects: pointers in wgpu-native, objects in JavaScript. */
export interface Handles {
  readonly buffer: unknown;
  readonly group: unknown;
  readonly layout: unknown;
  readonly pipeline: unknown;
}
