/** cli → tasks → {data, optim, model, pictures} → ops → autograd → backends → native: imports in src only point right. */
import { expect, test } from "bun:test";
import { dirname, join, resolve } from "node:path";

const SRC = resolve(import.meta.dir, "../src");

/** How far to the left a folder stands. */
const LAYERS: Readonly<Record<string, number>> = {
  cli: 7,
  tasks: 6,
  data: 5,
  optim: 5,
  ranks: 5,
  model: 5,
  pictures: 5,
  ops: 4,
  autograd: 3,
  backends: 2,
  native: 1,
};

/** Files directly in src: programs and the library's face, which nobody imports, and small things that anyone may. */
const TOP = ["index.ts", "setup.ts"];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

/** `import … from "…"`, `export … from "…"`, `import "…"`, `import("…")`. */
const STATEMENT = /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(STATEMENT)].flatMap(([, type, named, lazy]) => {
    const target = named ?? lazy!;
    if (!target.startsWith(".")) return [];
    const to = join(dirname(file), target);
    // Kernels and other files outside of src have no imports of their own that matter here.
    return to.startsWith("..") || !to.endsWith(".ts") ? [] : [{ from: file, to, typeOnly: type !== undefined }];
  });
}

const files = [...new Bun.Glob("**/*.ts").scanSync(SRC)].map((file) => file.replaceAll("\\", "/")).sort();
const imports = (await Promise.all(files.map(async (file) => importsOf(file, await Bun.file(join(SRC, file)).text()))))
  .flat()
  .map(({ to, ...rest }) => ({ ...rest, to: to.replaceAll("\\", "/") }));

/** 0 for what anyone may import, the folder's place, or 8 for what nobody may. */
function place(file: string): number {
  if (!file.includes("/")) return TOP.includes(file) ? 8 : 0;
  const folder = file.split("/")[0]!;
  const layer = LAYERS[folder];
  if (layer === undefined) throw new Error(`src/${folder} has no place in the order of this test`);
  return layer;
}

test("the import statements are found", () => {
  const text = [
    `import { a } from "./a.ts";`,
    `import type { B } from "../b/b.ts";`,
    `import {\n  c,\n  d,\n} from "../c.ts";`,
    `import "./e.ts";`,
    `export * from "./f.ts";`,
    `const g = await import("./g.ts");`,
    `import { x } from "citty";`,
    `import wgsl from "../../kernels/wgsl/x.wgsl" with { type: "text" };`,
  ].join("\n");
  expect(importsOf("ops/x.ts", text).map(({ to, typeOnly }) => (typeOnly ? `type ${to}` : to))).toEqual(
    ["ops/a.ts", "type b/b.ts", "c.ts", "ops/e.ts", "ops/f.ts", "ops/g.ts"].map((path) => join(path)),
  );
  for (const folder of ["ops", "model", "autograd"]) {
    expect(imports.some(({ from }) => from.startsWith(`${folder}/`))).toBe(true);
  }
});

test("every import leads to a file", () => {
  expect(imports.filter(({ to }) => !files.includes(to)).map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test("imports only point right", () => {
  const wrong = imports.filter(({ from, to }) => place(from) < place(to));
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test("backends know no ops: wgpu and cpu don't import each other either", () => {
  const wrong = imports.filter(({ from, to }) => {
    const [device, other] = [from, to].map((file) => /^backends\/(wgpu|cpu)\//.exec(file)?.[1]);
    return device && other && device !== other;
  });
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test("no cycles, leaving aside imports of types, which vanish", () => {
  const next = Map.groupBy(imports.filter(({ typeOnly }) => !typeOnly), ({ from }) => from); // prettier-ignore
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) throw new Error(`import cycle: ${[...path, file].join(" → ")}`);
    if (done.has(file)) return;
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});
