/**
 * `bun test/portability/dawn_null.ts`: compiles every shader by Dawn, the WebGPU of Chromium, and makes its compute
 * pipeline: on Dawn's null backend, without a driver, and at WebGPU's default limits. Any message is a failure.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { halfShaders, shaders } from "../../bench/shaders.ts";
import { FOLDER, installPackages } from "./packages.ts";

/** What is used of WebGPU. */
interface Gpu {
  requestAdapter(): Promise<{ requestDevice(wanted: { requiredFeatures: readonly string[] }): Promise<Device> }>;
}
interface Device {
  createShaderModule(descriptor: { code: string; label: string }): ShaderModule;
  createComputePipelineAsync(descriptor: { layout: "auto"; compute: { module: ShaderModule } }): Promise<unknown>;
  pushErrorScope(filter: "validation"): void;
  popErrorScope(): Promise<unknown>;
}
interface ShaderModule {
  getCompilationInfo(): Promise<{
    messages: readonly { type: string; lineNum: number; linePos: number; message: string }[];
  }>;
}

await installPackages();
const { create, globals } = createRequire(join(FOLDER, "index.js"))("webgpu") as {
  create(options: readonly string[]): Gpu;
  globals: object;
};
Object.assign(globalThis, globals);

// Dawn crashes if this is collected while its device is in use, so it is kept where nothing collects it.
const gpu = create(["backend=null"]);
Object.assign(globalThis, { gpu });
const device = await (await gpu.requestAdapter()).requestDevice({ requiredFeatures: ["shader-f16"] });
const [own, halves] = [shaders(), halfShaders()];
const all = [...own, ...halves];
const said: string[] = [];
for (const { name, wgsl } of all) {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code: wgsl, label: name });
  for (const { type, lineNum, linePos, message } of (await module.getCompilationInfo()).messages) {
    said.push(`${name}:${lineNum}:${linePos}: ${type}: ${message}`);
  }
  await device
    .createComputePipelineAsync({ layout: "auto", compute: { module } })
    .catch((error: Error) => said.push(`${name}: ${error.message}`));
  await device.popErrorScope();
}
for (const line of said) console.log(line);
const variants = own.filter(({ name, kernel }) => kernel !== "" && kernel !== name);
console.log(
  `Dawn: ${all.length} shaders compiled, ${variants.length} of them variants, ${halves.length} in half precision, ${said.length} messages`,
);
// The device would keep the process alive.
process.exit(said.length > 0 ? 1 : 0);
