/** The rooms of src, in their order: imports, those of types too, only point down the list, and never in a circle. */
import { expect, test } from "bun:test";
import { dirname, join, resolve } from "node:path";

const SRC = resolve(import.meta.dir, "../src");

/** The lowest first. A new folder has to be given its place here. */
const ROOMS = [
  "io",
  "native",
  "engine",
  "wasm",
  "devices",
  "net",
  "weights",
  "data",
  "pictures",
  "runs",
  "inference",
  "training",
  "ranks",
  "cli",
  "verbs",
  "web",
] as const;

/** Files directly in src: programs and the library's face, which nobody imports, and small things that anyone may. */
const TOP = ["index.ts", "main.ts", "setup.ts"];

interface Import {
  readonly from: string;
  readonly to: string;
}

/** `import … from "…"`, `export … from "…"`, `import "…"`, `import("…")`. */
const STATEMENT = /^(?:import|export)\s+(?:[^"';]*?\sfrom\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(STATEMENT)].flatMap(([, named, lazy]) => {
    const target = named ?? lazy!;
    if (!target.startsWith(".")) return [];
    const to = join(dirname(file), target);
    // Kernels and other files outside of src have no imports of their own that matter here.
    return to.startsWith("..") || !to.endsWith(".ts") ? [] : [{ from: file, to }];
  });
}

const files = [...new Bun.Glob("**/*.ts").scanSync(SRC)].map((file) => file.replaceAll("\\", "/")).sort();
const imports = (await Promise.all(files.map(async (file) => importsOf(file, await Bun.file(join(SRC, file)).text()))))
  .flat()
  .map(({ to, ...rest }) => ({ ...rest, to: to.replaceAll("\\", "/") }));

/** The room's place; 0 for what anyone may import, and above all of them what nobody may. */
function place(file: string): number {
  if (!file.includes("/")) return TOP.includes(file) ? ROOMS.length + 1 : 0;
  const room = ROOMS.indexOf(file.split("/")[0] as (typeof ROOMS)[number]);
  if (room < 0) throw new Error(`src/${file} is in no room that this test knows`);
  return room + 1;
}

test("the import statements are found", () => {
  const text = [
    `import { a } from "./a.ts";`,
    `import type { B } from "../b/b.ts";`,
    `import {\n  c,\n  d,\n} from "../c.ts";`,
    `import "./e.ts";`,
    `export * from "./f.ts";`,
    `const g = await import("./g.ts");`,
    `import { x } from "consola";`,
    `import wgsl from "../../kernels/wgsl/x.wgsl" with { type: "text" };`,
  ].join("\n");
  expect(importsOf("net/x.ts", text).map(({ to }) => to)).toEqual(
    ["net/a.ts", "b/b.ts", "c.ts", "net/e.ts", "net/f.ts", "net/g.ts"].map((path) => join(path)),
  );
  for (const room of ROOMS) expect(imports.some(({ from }) => from.startsWith(`${room}/`))).toBe(true);
});

test("every import leads to a file", () => {
  expect(imports.filter(({ to }) => !files.includes(to)).map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

const arrows = (wrong: readonly Import[]) => wrong.map(({ from, to }) => `${from} → ${to}`);

test("imports only point down", () => {
  expect(arrows(imports.filter(({ from, to }) => place(from) < place(to)))).toEqual([]);
});

test("the engine can be read alone: it knows errors, checks of options, and random numbers", () => {
  const others = imports.filter(({ from, to }) => from.startsWith("engine/") && !to.startsWith("engine/"));
  const known = ["errors.ts", "options.ts", "random.ts", "suggest.ts", "words.ts"];
  expect(arrows(others.filter(({ to }) => !known.includes(to)))).toEqual([]);
});

test("devices don't know each other, nor any op", () => {
  const wrong = imports.filter(({ from, to }) => {
    const [device, other] = [from, to].map((file) => /^devices\/(\w+)\//.exec(file)?.[1]);
    // devices/gpu/ is what the devices that are GPUs have in common.
    return device && (to.startsWith("engine/ops/") || (other && other !== device && other !== "gpu"));
  });
  expect(arrows(wrong)).toEqual([]);
});

test("no circles, not even of types", () => {
  const next = Map.groupBy(imports, ({ from }) => from);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (path.includes(file) || done.has(file)) return;
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

/** Lines of code in the files that `isCounted`: neither blank nor comments. */
async function codeLines(isCounted: (file: string) => boolean): Promise<number> {
  const texts = files.filter(isCounted).map(async (file) => await Bun.file(join(SRC, file)).text());
  const lines = (await Promise.all(texts)).flatMap((text) => text.replace(/\/\*[^]*?\*\//g, "").split("\n"));
  return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("//")).length;
}

test("how a network is trained can be read in an evening: at most 5,000 lines of code, comments aside", async () => {
  // Nobody has to read what kernels are tested at, nor what came after 2012, to see how a network is trained.
  const isCases = (file: string) => file.endsWith("cases.ts");
  const isLater = (file: string) => file.includes("/later/");
  const isRead = (file: string) => /^(engine|net|training)\//.test(file) && !isCases(file) && !isLater(file);
  expect(await codeLines(isRead)).toBeWithin(1000, 5000 + 1);
});
