/**
 * The WGSL that GPUs get: every kernel and variant with its constants replaced, the rungs of the ladders, and the kernels
 * that measure a device. `bun bench/shaders.ts FOLDER` writes each to NAME.wgsl.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { wgslOf, type Variant } from "../src/engine/kernel.ts";
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
  const kernels = kernelCases.flatMap(({ kernel }) =>
    [kernel as Variant, ...(kernel.variants ?? [])].map((form) => ({
      name: form.name,
      wgsl: wgslOf(form),
      kernel: kernel.name,
    })),
  );
  const others = OTHERS.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]).map((file) => ({
    name: basename(file, ".wgsl"),
    wgsl: readFileSync(join(ROOT, file), "utf8"),
    kernel: "",
  }));
  // Cases have kernels of their own, which differ in nothing but how their grid is folded.
  return [...new Map([...kernels, ...others].map((each) => [each.name, each])).values()].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

/** Every kernel and variant that has activations, with these in half precision. */
export function halfShaders(): Shader[] {
  const all = halfCases(kernelCases).flatMap(({ half, single }) =>
    [half.kernel as Variant, ...(half.kernel.variants ?? [])].map((form) => ({
      name: form.name,
      wgsl: wgslOf(form),
      kernel: single.kernel.name,
    })),
  );
  return [...new Map(all.map((each) => [each.name, each])).values()];
}

if (import.meta.main) {
  const folder = process.argv[2]!;
  mkdirSync(folder, { recursive: true });
  const all = shaders();
  for (const { name, wgsl } of all) writeFileSync(join(folder, `${name}.wgsl`), wgsl);
  const variants = all.filter(({ name, kernel }) => kernel !== "" && kernel !== name);
  console.log(`${all.length} shaders, ${variants.length} of them variants`);
}
