/**
 * `bun run build`: makes dist/, which is what the package consists of, and what executables contain. Its folders are
 * those of the checkout, with JavaScript and declarations in place of TypeScript, so that modules find workers, kernels
 * and networks at the same relative places. docs/architecture/package.md says why.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { bundleForBrowsers } from "../src/pictures/echarts_script.ts";
import { PACKAGES } from "../src/native/packages.ts";
import { ROOT } from "../src/program.ts";
import { bundlePageScripts } from "../src/verbs/export/page_scripts.ts";
import { buildKernels } from "../src/wasm/build.ts";
import { executable, TARGETS, type Target } from "./executable.ts";

/** Where it goes; the package's files. */
const DIST = join(ROOT, "dist");
/** It only makes the declarations and takes the types out: `bun check` is what checks. */
const TYPESCRIPT = "7.0.2";

/** Packages that are small, or of which little is used: their code goes into dist/vendor. */
const VENDORED = ["citty", "consola"];

const files = (pattern: string, folder: string) =>
  [...new Bun.Glob(pattern).scanSync(folder)].map((file) => file.replaceAll("\\", "/")).sort();

const read = (...path: string[]) => readFileSync(join(...path), "utf8");

function write(path: string, contents: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed:\n${said.join("").trim()}`);
}

/** src/ as JavaScript and declarations. */
async function compile(): Promise<void> {
  await run([process.execPath, "x", "--package", `typescript@${TYPESCRIPT}`, "tsc", "-p", "packaging/tsconfig.json"]);
  rmSync(join(DIST, "package.json"), { force: true });
  for (const file of files("src/**/*.js", DIST)) write(join(DIST, file), adapt(file, read(DIST, file)));
}

/**
 * What TypeScript leaves to a bundler: imported texts become strings, names of files end in .js, and small packages are
 * imported from dist/vendor. A text can't stay an import, since an executable loads embedded modules only as JavaScript.
 */
function adapt(file: string, code: string): string {
  const above = relative(dirname(file), ".").replaceAll("\\", "/");
  return code
    .replace(/^import (\w+) from "([^"]+)" with \{ type: "(text|json)" \};$/gm, (_, name, path, type) => {
      const text = read(ROOT, dirname(file), path);
      return `const ${name} = ${JSON.stringify(type === "text" ? text : JSON.parse(text))};`;
    })
    .replace(/(new URL\("\.[^"]*)\.ts"/g, '$1.js"')
    .replace(/\b(from |import\()"([\w@][^":]*)"/g, (all, how, name) =>
      VENDORED.includes(name) ? `${how}"${above}/vendor/${name}.js"` : all,
    );
}

/** Bundles of what comes from packages that are not installed with this one. */
async function bundle(): Promise<void> {
  const charts = "src/pictures/echarts.js";
  const entries = [
    ...VENDORED.map((name) => [name, `vendor/${name}.js`] as const),
    [join(ROOT, "src/pictures/echarts.ts"), charts] as const,
  ];
  for (const [entry, to] of entries) {
    const { outputs } = await Bun.build({
      entrypoints: [entry.startsWith(ROOT) ? entry : Bun.resolveSync(entry, ROOT)],
      target: "bun",
      minify: true,
    });
    write(join(DIST, to), await outputs[0]!.text());
  }
  write(join(DIST, "src/pictures/echarts_page.js"), await bundleForBrowsers());
  for (const [name, script] of Object.entries(await bundlePageScripts()))
    write(join(DIST, `src/web/photo/${name}.js`), script);
}

/** Keeps the declarations that index.d.ts reaches. */
function pruneDeclarations(): void {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const [, target] of read(DIST, file).matchAll(/(?:from |import\()"(\.[^"]+)"/g))
      visit(join(dirname(file), target!.replace(/\.[jt]s$/, ".d.ts")).replaceAll("\\", "/"));
  };
  visit("src/index.d.ts");
  for (const file of files("src/**/*.d.ts", DIST)) if (!reached.has(file)) rmSync(join(DIST, file));
  // For those whose own target is older than `await using`.
  const index = join(DIST, "src/index.d.ts");
  write(index, `/// <reference lib="esnext.disposable" />\n${read(index)}`);
}

/** Everything that is not code. */
function copyFiles(): void {
  const own = [
    "src/devices/wgpu/shim.c",
    "build/kernels.wasm",
    ...files("kernels/jpeg/{turbojpeg.wasm.gz,LICENSE}", ROOT),
    ...files("models/*.safetensors", ROOT),
  ];
  for (const file of own) copy(join(ROOT, file), join(DIST, file));
  const fonts = join(ROOT, "node_modules/dejavu-fonts-ttf");
  for (const name of ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"])
    copy(join(fonts, "ttf", name), join(DIST, "fonts", name));
  copy(join(fonts, "LICENSE"), join(DIST, "fonts/LICENSE"));
  // The package of libjpeg-turbo would install the tools by which it is built.
  const jpeg = "@julusian/jpeg-turbo";
  for (const file of Object.keys(PACKAGES[jpeg].files))
    copy(join(ROOT, "node_modules", `${jpeg}${file}`), join(DIST, "native", `${jpeg}${file}`));
  copy(join(ROOT, "kernels/jpeg/LICENSE"), join(DIST, "native", jpeg, "LICENSE"));
  for (const name of [...VENDORED, "echarts", "zrender"]) {
    for (const file of files("{LICENSE,NOTICE}*", join(ROOT, "node_modules", name)))
      copy(join(ROOT, "node_modules", name, file), join(DIST, "vendor/licences", name, file));
  }
  write(join(DIST, "bunfig.toml"), "# Read in place of a stranger's, which could run code.\n");
  const launcher = join(DIST, "alexnet.js");
  copy(join(ROOT, "packaging/alexnet.js"), launcher);
  chmodSync(launcher, 0o755);
}

/** By which processes that train together know that they run the same program. */
function writeHash(): void {
  const hash = files("**/*.{js,wasm,c}", DIST).reduce(
    (sum, file) => Bun.hash.xxHash3(readFileSync(join(DIST, file)), sum),
    0n,
  );
  write(join(DIST, "build/hash.txt"), hash.toString(16));
}

export async function build(): Promise<void> {
  rmSync(DIST, { recursive: true, force: true });
  await buildKernels((line) => void process.stderr.write(`${line}\n`));
  await compile();
  await bundle();
  pruneDeclarations();
  copyFiles();
  writeHash();
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  const all = Object.keys(TARGETS) as Target[];
  const at = args.indexOf("--targets");
  const named = at < 0 ? [] : args.slice(at + 1);
  const wrong = [...args.slice(0, Math.max(at, 0)), ...named].filter((name) => !all.includes(name as Target));
  if (wrong.length > 0 || (at < 0 && args.length > 0)) {
    process.stderr.write(
      `bun run build [--targets [TARGET…]]: "${wrong[0] ?? args[0]}" is not one of ${all.join(", ")}\n`,
    );
    process.exit(2);
  }
  await build();
  console.log(resolve(DIST));
  for (const target of at < 0 ? [] : named.length > 0 ? (named as Target[]) : all) {
    console.log(await executable(target, DIST, join(ROOT, "dist", "executables")));
  }
}
