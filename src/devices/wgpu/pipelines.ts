/** Layouts and compiled WGSL in wgpu-native. */
import { KernelPipelines } from "../gpu/pipelines.ts";
import { begin } from "./arguments.ts";
import type { Device } from "./device.ts";
import type { WgpuHandles } from "./handles.ts";
import type { Handle } from "./library.ts";
import {
  Binding,
  bindGroupLayoutDescriptor,
  computePipelineDescriptor,
  pipelineLayoutDescriptor,
  shaderModuleDescriptor,
} from "./structs.ts";

/** Flags of WGPUShaderRuntimeChecks. */
const NO_CHECKS = 0;
const BOUNDS_CHECKS = 1;

export class Pipelines extends KernelPipelines<WgpuHandles> {
  readonly #device: Device;
  readonly #checks: boolean;

  /** @param checks whether out-of-bounds accesses are prevented, which costs up to half the speed */
  constructor(device: Device, checks: boolean) {
    super();
    this.#device = device;
    this.#checks = checks;
  }

  protected override createLayout(readOnly: readonly boolean[]): WgpuHandles["layout"] {
    const { wgpu, handle: device } = this.#device;
    const entries = [
      { type: Binding.uniform, dynamicOffset: true },
      ...readOnly.map((isRead) => ({ type: isRead ? Binding.readOnlyStorage : Binding.storage, dynamicOffset: false })),
    ];
    begin();
    const bindGroups = this.#device.create(
      `a layout of ${readOnly.length} buffers`,
      () => wgpu.wgpuDeviceCreateBindGroupLayout(device, bindGroupLayoutDescriptor(entries)),
      wgpu.wgpuBindGroupLayoutRelease,
    );
    begin();
    const pipelines = this.#device.create(
      `a layout of ${readOnly.length} buffers`,
      () => wgpu.wgpuDeviceCreatePipelineLayout(device, pipelineLayoutDescriptor(bindGroups)),
      wgpu.wgpuPipelineLayoutRelease,
    );
    return { bindGroups, pipelines };
  }

  protected override compile(name: string, wgsl: string, { pipelines: layout }: WgpuHandles["layout"]): Handle {
    const { wgpu, handle: device } = this.#device;
    begin();
    const module = this.#device.create(
      `kernel ${name}: WGSL`,
      () => {
        const descriptor = shaderModuleDescriptor(name, wgsl);
        // Dawn always checks.
        if (!wgpu.native) return wgpu.wgpuDeviceCreateShaderModule(device, descriptor);
        const checks = this.#checks ? BOUNDS_CHECKS : NO_CHECKS;
        return wgpu.native.wgpuDeviceCreateShaderModuleTrusted(device, descriptor, checks);
      },
      wgpu.wgpuShaderModuleRelease,
    );
    try {
      begin();
      return this.#device.create(
        `kernel ${name}: pipeline`,
        () => wgpu.wgpuDeviceCreateComputePipeline(device, computePipelineDescriptor(name, layout, module)),
        wgpu.wgpuComputePipelineRelease,
      );
    } finally {
      wgpu.wgpuShaderModuleRelease(module);
    }
  }

  close(): void {
    const { wgpu } = this.#device;
    for (const { handle, compiled } of this.takeLayouts()) {
      for (const pipeline of compiled.values()) wgpu.wgpuComputePipelineRelease(pipeline);
      wgpu.wgpuPipelineLayoutRelease(handle.pipelines);
      wgpu.wgpuBindGroupLayoutRelease(handle.bindGroups);
    }
  }
}
