/**
 * Each kernel alone: the layout that its WGSL text declares against its descriptor; and what each backend computes
 * against the plain loop in float64, at sizes that tiles and workgroups don't fit.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { access, elementType, type Kernel } from "../src/engine/kernel.ts";
import { casesOf, kernelCases } from "../src/verbs/doctor/kernel_cases.ts";
import { checkCase, checkVariant, runCase, variantsOf } from "../src/verbs/doctor/kernel_check.ts";
import { describeBackends } from "./support/backends.ts";
import { expectedOnce } from "./support/expected.ts";

const folder = new URL("../kernels/wgsl/", import.meta.url);
const source = new URL("../src/engine/", import.meta.url);

/** Every kernel that an op or the tape exports. */
async function declaredKernels(): Promise<Kernel[]> {
  const files = [...new Bun.Glob("**/*.ts").scanSync(fileURLToPath(source))].map((file) => new URL(file, source));
  const modules = await Promise.all(files.map((file) => import(file.href) as Promise<Record<string, unknown>>));
  const exported = modules.flatMap((module) => Object.values(module));
  return exported.filter((value): value is Kernel => typeof value === "object" && value !== null && "wgsl" in value);
}

const kernels = await declaredKernels();
/** And their variants, as kernels. */
const all = kernels.flatMap((kernel) => [
  kernel,
  ...(kernel.variants ?? []).map((variant) => ({ ...kernel, ...variant })),
]);

describe("kernel files", () => {
  test("each belongs to one descriptor of its name", () => {
    const files = readdirSync(folder).map((file) => basename(file, ".wgsl"));
    expect(all.map((kernel) => kernel.name).sort()).toEqual(files.sort());
  });

  test("each has cases", () => {
    const tested = new Set(kernelCases.map(({ kernel }) => kernel.name));
    expect(kernels.map((kernel) => kernel.name).filter((name) => !tested.has(name))).toEqual([]);
  });

  test.each(all.map((kernel) => [kernel.name, kernel] as const))("%s has its descriptor's layout", (name, kernel) => {
    const text = readFileSync(new URL(`${name}.wgsl`, folder), "utf8");
    expect(kernel.wgsl).toBe(text);
    expect([...text.matchAll(/@compute\b[^{]*?\bfn\s+(\w+)/g)].map((match) => match[1]!)).toEqual([name]);

    const fields = /struct Uniforms \{([^}]*)\}/.exec(text)?.[1] ?? "";
    expect([...fields.matchAll(/(\w+): (\w+),/g)].map((match) => [match[1]!, match[2]!])).toEqual(
      Object.entries(kernel.uniforms),
    );

    const bindings = text.matchAll(/@group\((\d)\) @binding\((\d)\) var<([\w, ]+)> (\w+): ([\w<>]+);/g);
    const types: Record<string, string> = kernels.includes(kernel) ? {} : { "array<vec4f>": "array<f32>" };
    expect([...bindings].map((match) => match.slice(1).map((word) => types[word] ?? word))).toEqual([
      ["0", "0", "uniform", "u", "Uniforms"],
      ...Object.entries(kernel.buffers).map(([buffer, spec], i) => [
        "0",
        String(i + 1),
        access(spec) === "read" ? "storage, read" : "storage, read_write",
        buffer,
        // Four bytes a word. A variant may read f32 as whole vec4s.
        elementType(spec) === "u8" ? "array<u32>" : `array<${elementType(spec)}>`,
      ]),
    ]);
    // A binding in any other form would have escaped the comparison.
    expect(text.match(/@binding/g)).toHaveLength(Object.keys(kernel.buffers).length + 1);
  });
});

/** What an element of an array takes. */
const WORKGROUP_BYTES: Readonly<Record<string, number>> = { f32: 4, vec2f: 8, vec3i: 16, vec4f: 16 };

describe("kernel limits", () => {
  test.each(all.map((kernel) => [kernel.name, kernel.wgsl] as const))("%s keeps WebGPU's defaults", (_name, text) => {
    const constants = new Map<string, number>();
    /** A product of numbers and constants. */
    const evaluate = (expression: string): number =>
      expression.split("*").reduce((product, factor) => {
        const word = factor.trim();
        return product * (constants.get(word) ?? Number.parseInt(word));
      }, 1);
    for (const [, name, value] of text.matchAll(/const (\w+) = ([\w* ]+);/g)) constants.set(name!, evaluate(value!));

    const threads = /@workgroup_size\((\w+)\)/.exec(text)![1]!;
    expect(evaluate(threads)).toBeWithin(1, 256 + 1);
    const arrays = [...text.matchAll(/var<workgroup> \w+: array<(\w+), ([\w* ]+)>/g)];
    expect(arrays).toHaveLength(text.match(/var<workgroup>/g)?.length ?? 0);
    const bytes = arrays.reduce((sum, [, type, length]) => sum + WORKGROUP_BYTES[type!]! * evaluate(length!), 0);
    expect(bytes).toBeWithin(0, 16_384 + 1);
  });
});

describeBackends("kernels", ({ name, open }) => {
  const kind = name === "wgpu" ? "wgpu" : "cpu";
  const cases = casesOf(kind).map((each) => [each.kernel.name, each.title, each] as const);

  test.each(cases)("%s %s", async (_name, _title, each) => {
    expect(await checkCase(await open(), each, await expectedOnce(each))).toBeUndefined();
  });

  const last = new Map(casesOf(kind).map((each) => [each.kernel.name, each]));
  test.each([...last])("%s gives the same bits again", async (_name, each) => {
    const backend = await open();
    const bytes = async () => [...(await runCase(backend, each)).values()].map(({ buffer }) => new Uint8Array(buffer));
    expect(await bytes()).toEqual(await bytes());
  });
});

describeBackends(
  "variants",
  ({ open }) => {
    const cases = kernelCases.flatMap((each) =>
      variantsOf(each).map((variant) => [variant.name, each.title, each, variant] as const),
    );

    test("each has cases", () => {
      const names = kernels.flatMap(({ variants = [] }) => variants.map(({ name }) => name));
      expect([...new Set(cases.map(([name]) => name))].sort()).toEqual(names.sort());
    });

    test.each(cases)("%s %s", async (_name, _title, each, variant) => {
      expect(await checkVariant(await open(), each, variant)).toBeUndefined();
    });
  },
  ["wgpu"],
);
