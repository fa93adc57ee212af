/**
 * The WGSL that GPUs get: every kernel and variant with its constants replaced, the rungs of the ladders, and the kernels
 * that measure a device. `bun bench/shaders.ts FOLDER` writes each to NAME.wgsl, and those in half precision to
 * half/NAME.wgsl.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { wgslOf, type Kernel, type Variant } from "../src/engine/kernel.ts";
import { halfCases } from "../src/engine/later/half_cases.ts";
import { kernelCases } from "../src/engine/ops/cases.ts";

export interface Shader {
  readonly name: string;
  readonly wgsl: string;
  /** The kernel that it is, or may stand for; "" if it is none. */
  readonly kernel: string;
}

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const OTHERS = ["bench/ladder/*.wgsl", "bench/roof/*.wgsl", "src/devices/wgpu/*.wgsl"];

/** In the order of their names. */
export function shaders(): Shader[] {
  const kernels = kernelCases.flatMap(({ kernel }) => formsOf(kernel, kernel.name));
  const others = OTHERS.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]).map((file) => ({
    name: basename(file, ".wgsl"),
    wgsl: readFileSync(join(ROOT, file), "utf8"),
    kernel: "",
  }));
  return byName([...kernels, ...others]);
}

/** Every kernel and variant that has activations, with these in half precision. */
export function halfShaders(): Shader[] {
  return byName(halfCases(kernelCases).flatMap(({ half, single }) => formsOf(half.kernel, single.kernel.name)));
}

/** A kernel and its variants. */
function formsOf(kernel: Kernel, name: string): Shader[] {
  const forms: readonly Variant[] = [kernel, ...(kernel.variants ?? [])];
  return forms.map((form) => ({ name: form.name, wgsl: wgslOf(form), kernel: name }));
}

/** Each once: cases have kernels of their own, which differ in nothing but how their grid is folded. */
function byName(shaders: readonly Shader[]): Shader[] {
  return [...new Map(shaders.map((each) => [each.name, each])).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

if (import.meta.main) {
  const folder = process.argv[2]!;
  const [all, halves] = [shaders(), halfShaders()];
  const write = (to: string, shaders: readonly Shader[]) => {
    mkdirSync(to, { recursive: true });
    for (const { name, wgsl } of shaders) writeFileSync(join(to, `${name}.wgsl`), wgsl);
  };
  write(folder, all);
  write(join(folder, "half"), halves);
  const variants = all.filter(({ name, kernel }) => kernel !== "" && kernel !== name);
  console.log(`${all.length} shaders, ${variants.length} of them variants; ${halves.length} more in half precision`);
}
