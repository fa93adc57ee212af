/** Kernels as pipelines: compiled once each, with an explicit layout of their bindings. */
import { DeviceError } from "../../errors.ts";
import { access, type Kernel } from "../kernel.ts";
import { begin } from "./arguments.ts";
import type { Device } from "./device.ts";
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

export interface Pipeline {
  readonly handle: Handle;
  readonly bindGroupLayout: Handle;
  readonly wgsl: string;
  /** Of the kernel's uniforms, in bytes. */
  readonly uniformBytes: number;
}

export class Pipelines {
  readonly #device: Device;
  readonly #checks: boolean;
  readonly #pipelines = new Map<string, Pipeline>();

  /** @param checks whether kernels that index outside of a buffer are held back; it costs up to half of the speed. */
  constructor(device: Device, checks: boolean) {
    this.#device = device;
    this.#checks = checks;
  }

  /** @throws DeviceError with line and column when the WGSL is wrong. */
  of(kernel: Kernel): Pipeline {
    const known = this.#pipelines.get(kernel.name);
    if (known?.wgsl === kernel.wgsl) return known;
    if (known) throw new DeviceError(`two different kernels have the name ${kernel.name}`);
    const pipeline = this.#compile(kernel);
    this.#pipelines.set(kernel.name, pipeline);
    return pipeline;
  }

  #compile(kernel: Kernel): Pipeline {
    const { wgpu, handle: device } = this.#device;
    const make = (what: string, call: () => number | bigint | null, release: (handle: Handle) => void): Handle => {
      begin();
      return this.#device.create(`kernel ${kernel.name}: ${what}`, call, release);
    };
    const entries = [
      { type: Binding.uniform, dynamicOffset: true },
      ...Object.values(kernel.buffers).map((spec) => ({
        type: access(spec) === "read" ? Binding.readOnlyStorage : Binding.storage,
        dynamicOffset: false,
      })),
    ];
    const made: (() => void)[] = [];
    try {
      const module = make(
        "WGSL",
        () =>
          wgpu.wgpuDeviceCreateShaderModuleTrusted(
            device,
            shaderModuleDescriptor(kernel.name, kernel.wgsl),
            this.#checks ? BOUNDS_CHECKS : NO_CHECKS,
          ),
        wgpu.wgpuShaderModuleRelease,
      );
      made.push(() => wgpu.wgpuShaderModuleRelease(module));
      const bindGroupLayout = make(
        "bindings",
        () => wgpu.wgpuDeviceCreateBindGroupLayout(device, bindGroupLayoutDescriptor(entries)),
        wgpu.wgpuBindGroupLayoutRelease,
      );
      made.push(() => wgpu.wgpuBindGroupLayoutRelease(bindGroupLayout));
      const layout = make(
        "layout",
        () => wgpu.wgpuDeviceCreatePipelineLayout(device, pipelineLayoutDescriptor(bindGroupLayout)),
        wgpu.wgpuPipelineLayoutRelease,
      );
      made.push(() => wgpu.wgpuPipelineLayoutRelease(layout));
      const handle = make(
        "pipeline",
        () => wgpu.wgpuDeviceCreateComputePipeline(device, computePipelineDescriptor(kernel.name, layout, module)),
        wgpu.wgpuComputePipelineRelease,
      );
      made.splice(1, 1);
      return { handle, bindGroupLayout, wgsl: kernel.wgsl, uniformBytes: 4 * Object.keys(kernel.uniforms).length };
    } finally {
      for (const release of made) release();
    }
  }

  close(): void {
    for (const { handle, bindGroupLayout } of this.#pipelines.values()) {
      this.#device.wgpu.wgpuComputePipelineRelease(handle);
      this.#device.wgpu.wgpuBindGroupLayoutRelease(bindGroupLayout);
    }
    this.#pipelines.clear();
  }
}
