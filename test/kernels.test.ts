/**
 * Each kernel alone: the layout that its WGSL text declares against its descriptor; and what each backend computes
 * against the plain loop in float64, at sizes that tiles and workgroups don't fit.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { Buffer } from "../src/engine/backend.ts";
import { variantsOf, type KernelCase } from "../src/engine/cases.ts";
import { access, elementType, wgslOf, type Kernel, type Workgroups } from "../src/engine/kernel.ts";
import { inHalf } from "../src/engine/later/half.ts";
import { halfCases } from "../src/engine/later/half_cases.ts";
import { casesOf, kernelCases } from "../src/engine/ops/cases.ts";
import { addForward } from "../src/engine/ops/later/add.ts";
import { UsageError } from "../src/errors.ts";
import { checkCase, checkVariant, runCase } from "../src/verbs/doctor/kernel_check.ts";
import { describeBackends } from "./support/backends.ts";
import { expectedOnce } from "./support/expected.ts";

const folder = new URL("../kernels/wgsl/", import.meta.url);
const source = new URL("../src/engine/", import.meta.url);

/** What the engine's files export, those of a pattern. */
async function exportsOf(pattern: string): Promise<unknown[]> {
  const files = [...new Bun.Glob(pattern).scanSync(fileURLToPath(source))].map((file) => new URL(file, source));
  const modules = await Promise.all(files.map((file) => import(file.href) as Promise<Record<string, unknown>>));
  return modules.flatMap((module) => Object.values(module));
}

/** Every kernel that an op or the tape exports. */
const kernels = (await exportsOf("**/*.ts")).filter(
  (value): value is Kernel => typeof value === "object" && value !== null && "wgsl" in value,
);
/** And their variants, as kernels. Several may share a file, with other constants. */
const all = kernels.flatMap((kernel) => [
  kernel,
  ...(kernel.variants ?? []).map((variant) => ({ ...kernel, ...variant })),
]);

/** The name of each text's file. */
const texts = new Map(
  readdirSync(folder).map((file) => [readFileSync(new URL(file, folder), "utf8"), basename(file, ".wgsl")]),
);
const fileOf = ({ wgsl }: Pick<Kernel, "wgsl">) => texts.get(wgsl) ?? "no file";

describe("constants", () => {
  const wgsl = "const ROWS = 64u;\nconst SCALE = 0.5;\nconst LEFT = ROWS / 2u;\nconst TWICE = 1;\nconst TWICE = 1;";

  test("are replaced by name, with the type that they have", () => {
    const text = wgslOf({ name: "a", wgsl, constants: { ROWS: 48, SCALE: 0.25 } });
    expect(text).toBe(wgsl.replace("64u", "48u").replace("0.5", "0.25"));
    expect(wgslOf({ name: "a", wgsl })).toBe(wgsl);
  });

  test.each(["ROW", "LEFT", "TWICE"])("%s, which is not declared once as a number, is an error", (name) => {
    const found = name === "TWICE" ? 2 : 0;
    expect(() => wgslOf({ name: "a_48x64", wgsl, constants: { [name]: 48 } })).toThrow(
      new UsageError(
        `kernel a_48x64: constant ${name} is 48, but its WGSL declares ${found} of that name: ` +
          `it needs one line "const ${name} = NUMBER;"`,
      ),
    );
  });
});

test("the types of aliases are replaced by name", () => {
  const wgsl = "alias Value = f32;\nalias Values = array<Value, 4>;";
  const text = wgslOf({ name: "a", wgsl, constants: { Value: "vec4f" } });
  expect(text).toBe(wgsl.replace("f32", "vec4f"));
  expect(() => wgslOf({ name: "a_vec4", wgsl, constants: { Bits: "vec4u" } })).toThrow(
    new UsageError(
      'kernel a_vec4: alias Bits is vec4u, but its WGSL declares 0 of that name: it needs one line "alias Bits = TYPE;"',
    ),
  );
});

describe("kernel files", () => {
  test("each is a kernel's or a variant's, and has the kernel's name unless several share it", () => {
    expect(new Set(all.map(fileOf))).toEqual(new Set(texts.values()));
    const own = kernels.filter(({ constants }) => !constants);
    expect(own.map(fileOf)).toEqual(own.map(({ name }) => name));
  });

  test("names of kernels and variants are unique", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  test("the list of cases has those of every file", async () => {
    const isCase = (value: object): value is KernelCase => "kernel" in value && "tolerance" in value;
    const inFiles = (await exportsOf("**/*.cases.ts")).flat().filter((value) => isCase(value as object));
    expect(inFiles.length).toBeGreaterThan(100);
    expect(inFiles.filter((each) => !kernelCases.includes(each as KernelCase))).toEqual([]);
  });

  test("each has cases", () => {
    const tested = new Set(kernelCases.map(({ kernel }) => kernel.name));
    expect(kernels.map((kernel) => kernel.name).filter((name) => !tested.has(name))).toEqual([]);
  });

  test.each(all.map((kernel) => [kernel.name, kernel] as const))("%s has its descriptor's layout", (_name, kernel) => {
    const text = wgslOf(kernel);
    const entries = [...text.matchAll(/@compute\b[^{]*?\bfn\s+(\w+)/g)].map((match) => match[1]);
    expect(entries).toEqual([fileOf(kernel)]);

    const fields = /struct Uniforms \{([^}]*)\}/.exec(text)?.[1] ?? "";
    expect([...fields.matchAll(/(\w+): (\w+),/g)].map((match) => [match[1]!, match[2]!])).toEqual(
      Object.entries(kernel.uniforms),
    );

    const bindings = text.matchAll(/@group\((\d)\) @binding\((\d)\) var<([\w, ]+)> (\w+): ([\w<>]+);/g);
    const aliases = new Map([...text.matchAll(/alias (\w+) = (\w+);/g)].map((match) => [match[1]!, match[2]!]));
    const types: Record<string, string> = kernels.includes(kernel) ? {} : { "array<vec4f>": "array<f32>" };
    const typeOf = (word: string) => {
      const type = word.replace(/^array<(\w+)>$/, (all, name: string) =>
        aliases.has(name) ? `array<${aliases.get(name)}>` : all,
      );
      return types[type] ?? type;
    };
    expect([...bindings].map((match) => match.slice(1).map(typeOf))).toEqual([
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
  test.each(all.map((kernel) => [kernel.name, wgslOf(kernel)] as const))(
    "%s keeps WebGPU's defaults",
    (_name, text) => {
      const constants = new Map<string, number>();
      /** A sum, difference, product or quotient of whole numbers and constants. */
      const evaluate = (expression: string): number => {
        const [, left, operator, right] =
          /^(.+) ([-+]) (.+?)$/.exec(expression) ?? /^(.+) ([*/]) (.+?)$/.exec(expression) ?? [];
        if (!operator) return constants.get(expression) ?? Number.parseInt(expression);
        const [a, b] = [evaluate(left!), evaluate(right!)];
        return { "+": a + b, "-": a - b, "*": a * b, "/": Math.floor(a / b) }[operator]!;
      };
      for (const [, name, value] of text.matchAll(/const (\w+) = ([\w*/+ -]+);/g))
        constants.set(name!, evaluate(value!));

      const threads = /@workgroup_size\((\w+)\)/.exec(text)![1]!;
      expect(evaluate(threads)).toBeWithin(1, 256 + 1);
      const arrays = [...text.matchAll(/var<workgroup> \w+: array<(\w+), ([\w*/+ -]+)>/g)];
      expect(arrays).toHaveLength(text.match(/var<workgroup>/g)?.length ?? 0);
      const bytes = arrays.reduce((sum, [, type, length]) => sum + WORKGROUP_BYTES[type!]! * evaluate(length!), 0);
      expect(bytes).toBeWithin(0, 16_384 + 1);
    },
  );
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
  "in half precision",
  ({ open }) => {
    const cases = halfCases(kernelCases).flatMap(({ half, single }) =>
      [half.kernel, ...variantsOf(half)].map((form) => [form.name, { ...half.kernel, ...form }, half, single] as const),
    );

    test.each(cases)("%s", async (_name, kernel, half, single) => {
      expect(await checkCase(await open(), { ...half, kernel }, await expectedOnce(single))).toBeUndefined();
    });

    test.each([addForward, ...addForward.variants!])("$name keeps NaN, and to the largest number", async (form) => {
      const backend = await open();
      const half = inHalf({ ...addForward, ...form, variants: [] } as unknown as Kernel, ["a", "b", "y"]);
      const [a, b, y] = [0, 1, 2].map(() => backend.allocate("f16", 8)) as [Buffer, Buffer, Buffer];
      backend.write(a, Float16Array.of(6e4, -6e4, NaN, Infinity, -Infinity, 1, 2048, 6e-8));
      backend.write(b, Float16Array.of(6e4, -6e4, 1, 1, 1, 2 ** -11, 1, 0));
      backend.run(half, { a, b, y }, { size: 8, activation: 0 });
      const expected = [65504, -65504, NaN, 65504, -65504, 1, 2048, 2 ** -24];
      expect([...(await backend.read(y))]).toEqual(expected);
      for (const buffer of [a, b, y]) backend.free(buffer);
    });
  },
  ["wgpu-half"],
);

/** The grid of a line of workgroups, cut into three, as those of more than 65,535 are. */
const folded = ([x]: Workgroups): Workgroups => [Math.ceil(x / 3), 3, 1];

describeBackends(
  "a line of workgroups that is folded",
  ({ open }) => {
    const isLine = ({ kernel, uniforms }: KernelCase) => {
      const [x, y, z] = kernel.workgroups(uniforms);
      return x > 3 && x < 1000 && y === 1 && z === 1;
    };
    const lines = new Map(
      casesOf("wgpu")
        .filter(isLine)
        .map((each) => [each.kernel.name, each]),
    );
    /** Their grids have another shape at other sizes. */
    const TILED = /^(linear|conv2d|winograd|local2d)/;
    const cases = [...lines].filter(([name]) => !TILED.test(name));

    test.each(cases)("%s", async (_name, each) => {
      const kernel: Kernel = { ...each.kernel, workgroups: (uniforms) => folded(each.kernel.workgroups(uniforms)) };
      expect(await checkCase(await open(), { ...each, kernel }, await expectedOnce(each))).toBeUndefined();
    });

    const variants = kernelCases.flatMap((each) =>
      variantsOf(each)
        .filter(({ name, workgroups }) => !TILED.test(name) && workgroups(each.uniforms)[0] > 1)
        .map((variant) => [variant.name, each, variant] as const),
    );
    const lastOfEach = [...new Map(variants.map((each) => [each[0], each])).values()];

    test.each(lastOfEach)("%s", async (_name, each, variant) => {
      const [x, , z] = variant.workgroups(each.uniforms);
      const rows = { ...variant, workgroups: (): Workgroups => [Math.ceil(x / 3), 3, z] };
      expect(await checkVariant(await open(), each, rows, { exactly: true })).toBeUndefined();
    });
  },
  ["wgpu"],
);

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
      expect(await checkVariant(await open(), each, variant, { exactly: true })).toBeUndefined();
    });
  },
  ["wgpu"],
);
