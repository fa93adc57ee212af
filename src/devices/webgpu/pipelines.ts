/** Layouts and compiled WGSL of the standard API. */
import { KernelPipelines } from "../gpu/pipelines.ts";
import { STAGE_COMPUTE, type WebGpuHandles } from "./api.ts";
import type { Device } from "./device.ts";

export class Pipelines extends KernelPipelines<WebGpuHandles> {
  readonly #device: Device;

  constructor(device: Device) {
    super();
    this.#device = device;
  }

  protected override createLayout(readOnly: readonly boolean[]): WebGpuHandles["layout"] {
    const device = this.#device.handle;
    const buffers = [
      { type: "uniform", hasDynamicOffset: true },
      ...readOnly.map((isRead) => ({ type: isRead ? "read-only-storage" : "storage" })),
    ];
    const entries = buffers.map((buffer, binding) => ({ binding, visibility: STAGE_COMPUTE, buffer }));
    return this.#device.create(`a layout of ${readOnly.length} buffers`, () => {
      const bindGroups = device.createBindGroupLayout({ entries });
      return { bindGroups, pipelines: device.createPipelineLayout({ bindGroupLayouts: [bindGroups] }) };
    });
  }

  protected override compile(name: string, wgsl: string, { pipelines }: WebGpuHandles["layout"]): object {
    const device = this.#device.handle;
    return this.#device.create(`kernel ${name}`, () =>
      device.createComputePipeline({
        label: name,
        layout: pipelines,
        compute: { module: device.createShaderModule({ code: wgsl, label: name }) },
      }),
    );
  }
}
