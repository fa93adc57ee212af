/** Kernels on the device: the layout of their arguments, and their compiled WGSL, each made once. */
import { access, wgslOf, type Kernel, type Variant, type Workgroups } from "../../engine/kernel.ts";
import { DeviceError } from "../../errors.ts";
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

/** Compiled WGSL: a kernel's own or a variant's. */
export interface Pipeline {
  readonly handle: Handle;
  readonly name: string;
  workgroups(uniforms: Readonly<Record<string, number>>): Workgroups;
}

/** A kernel on this device. Its variants share everything but the pipelines. */
export interface Program {
  readonly kernel: Kernel;
  readonly layout: Layout;
  /** The names of its buffers and of its uniforms, in order. */
  readonly buffers: readonly string[];
  readonly uniforms: readonly { readonly name: string; readonly isFloat: boolean }[];
  /** Bytes of the uniform buffer that binding 0 spans. */
  readonly uniformBytes: number;
  /** Those of the kernel and its variants that were needed so far. */
  readonly pipelines: Map<Variant, Pipeline>;
  /** The fastest pipeline by shape, for kernels with variants. */
  readonly chosen: Map<string, Pipeline>;
}

/** How arguments are bound; shared by kernels with the same sequence of accesses. */
interface Layout {
  readonly bindGroups: Handle;
  readonly pipelines: Handle;
  /** The pipelines of this layout, by their WGSL. */
  readonly compiled: Map<string, Handle>;
}

export class Pipelines {
  readonly #device: Device;
  readonly #checks: boolean;
  readonly #programs = new WeakMap<Kernel, Program>();
  /** WGSL by kernel name. */
  readonly #names = new Map<string, string>();
  readonly #layouts = new Map<string, Layout>();

  /** @param checks whether out-of-bounds accesses are prevented, which costs up to half the speed */
  constructor(device: Device, checks: boolean) {
    this.#device = device;
    this.#checks = checks;
  }

  /** @throws DeviceError when another kernel has the same name */
  program(kernel: Kernel): Program {
    return this.#programs.get(kernel) ?? this.#addProgram(kernel);
  }

  /** The kernel or one of its variants, compiled. @throws DeviceError with line and column when the WGSL is wrong */
  pipeline(program: Program, form: Variant): Pipeline {
    const known = program.pipelines.get(form);
    if (known) return known;
    const { compiled, pipelines } = program.layout;
    const wgsl = wgslOf(form);
    const handle = compiled.get(wgsl) ?? this.#compile(form.name, wgsl, pipelines);
    compiled.set(wgsl, handle);
    const pipeline = { handle, name: form.name, workgroups: form.workgroups };
    program.pipelines.set(form, pipeline);
    return pipeline;
  }

  #addProgram(kernel: Kernel): Program {
    const wgsl = wgslOf(kernel);
    if ((this.#names.get(kernel.name) ?? wgsl) !== wgsl) {
      throw new DeviceError(`two different kernels are named ${kernel.name}`);
    }
    const specs = Object.values(kernel.buffers).map(access);
    const uniforms = Object.entries(kernel.uniforms).map(([name, type]) => ({ name, isFloat: type === "f32" }));
    const program = {
      kernel,
      layout: this.#layout(specs.map((spec) => spec === "read")),
      buffers: Object.keys(kernel.buffers),
      uniforms,
      uniformBytes: Math.max(16, Math.ceil(uniforms.length / 4) * 16),
      pipelines: new Map<Variant, Pipeline>(),
      chosen: new Map<string, Pipeline>(),
    };
    this.#programs.set(kernel, program);
    this.#names.set(kernel.name, wgsl);
    return program;
  }

  #layout(readOnly: readonly boolean[]): Layout {
    const key = readOnly.join();
    const known = this.#layouts.get(key);
    if (known) return known;
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
    const layout = { bindGroups, pipelines, compiled: new Map<string, Handle>() };
    this.#layouts.set(key, layout);
    return layout;
  }

  #compile(name: string, wgsl: string, layout: Handle): Handle {
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
    for (const { bindGroups, pipelines, compiled } of this.#layouts.values()) {
      for (const handle of compiled.values()) wgpu.wgpuComputePipelineRelease(handle);
      wgpu.wgpuPipelineLayoutRelease(pipelines);
      wgpu.wgpuBindGroupLayoutRelease(bindGroups);
    }
    this.#layouts.clear();
  }
}
