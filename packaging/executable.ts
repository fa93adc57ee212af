/**
 * Executables: Bun with dist/ inside. The modules are embedded as they are, not bundled: they find each other, their
 * workers and their kernels as they do in the package.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../src/io/temporary.ts";
import { PACKAGES, type PackageName } from "../src/native/packages.ts";
import { requireSha256 } from "../src/native/pins.ts";

/** By Bun's name of the platform: Node's name, and Bun's own package. */
export const TARGETS = {
  "linux-x64": { platform: "linux", arch: "x64", bun: "@oven/bun-linux-x64" },
  "linux-arm64": { platform: "linux", arch: "arm64", bun: "@oven/bun-linux-aarch64" },
  "darwin-x64": { platform: "darwin", arch: "x64", bun: "@oven/bun-darwin-x64" },
  "darwin-arm64": { platform: "darwin", arch: "arm64", bun: "@oven/bun-darwin-aarch64" },
  "windows-x64": { platform: "win32", arch: "x64", bun: "@oven/bun-windows-x64" },
  "windows-arm64": { platform: "win32", arch: "arm64", bun: "@oven/bun-windows-aarch64" },
} as const;

export type Target = keyof typeof TARGETS;

async function run(command: readonly string[], cwd: string): Promise<void> {
  const child = Bun.spawn([...command], { cwd, stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed:\n${said.join("").trim()}`);
}

/** @param dist what `build` made @param out the folder for it @returns the executable's path */
export async function executable(target: Target, dist: string, out: string): Promise<string> {
  const { platform, arch, bun } = TARGETS[target];
  const { path: folder, remove } = temporaryFolder("alexnet-executable-");
  try {
    const program = join(folder, "program");
    const others = ["native", "executables", "alexnet.js"].map((name) => join(dist, name));
    cpSync(dist, program, { recursive: true, filter: (path) => !others.includes(path) && !path.endsWith(".d.ts") });
    const isHere = platform === process.platform && arch === process.arch;
    const packages = isHere ? join(dist, "../node_modules") : await install(folder, platform, arch, bun);
    for (const [name, { files }] of Object.entries(PACKAGES)) {
      for (const [file, sha256] of Object.entries(files)) {
        const from = [join(dist, "native"), packages].map((each) => join(each, name + file)).find(existsSync);
        // Executables are for glibc: musl's files would only add to them.
        if (!from || !file.includes(`-${platform}-${arch}`) || file.includes("musl")) continue;
        const contents = readFileSync(from);
        requireSha256(from, contents, sha256);
        const to = join(program, "native", name + file);
        mkdirSync(dirname(to), { recursive: true });
        writeFileSync(to, contents);
      }
    }
    requireAddOns(program, ["@napi-rs/image", "@resvg/resvg-js"], target);
    // A path that Bun can't see through, so that it embeds the module instead of bundling it.
    const entry = `const main = "./program/src/main.js";\nawait import(new URL(main, import.meta.url).href);\n`;
    writeFileSync(join(folder, "alexnet.js"), entry);
    mkdirSync(out, { recursive: true });
    const outfile = join(out, `alexnet-${target}${platform === "win32" ? ".exe" : ""}`);
    const own = join(packages, bun, "bin", platform === "win32" ? "bun.exe" : "bun");
    await run(
      [
        ...[process.execPath, "build", "--compile", "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
        ...(isHere ? [] : [`--target=bun-${target}`, `--compile-executable-path=${own}`]),
        ...["alexnet.js", "--asset", "program", "--outfile", outfile],
      ],
      folder,
    );
    return `${outfile} (${Math.round(statSync(outfile).size / 1e6)} MB)`;
  } finally {
    remove();
  }
}

/** Another platform's packages, as npm has them. @returns the folder that they are in */
async function install(folder: string, platform: string, arch: string, bun: string): Promise<string> {
  const into = join(folder, "packages");
  mkdirSync(into);
  const names = (["@napi-rs/image", "@resvg/resvg-js"] as const).map((name) => `${name}@${PACKAGES[name].version}`);
  writeFileSync(join(into, "package.json"), "{}");
  await run(
    [
      process.execPath,
      "add",
      "--ignore-scripts",
      `--os=${platform}`,
      `--cpu=${arch}`,
      ...names,
      `${bun}@${Bun.version}`,
    ],
    into,
  );
  rmSync(join(into, "package.json"));
  return join(into, "node_modules");
}

function requireAddOns(program: string, names: readonly PackageName[], target: Target): void {
  for (const name of names) {
    const has = Object.keys(PACKAGES[name].files).some((file) => existsSync(join(program, "native", name + file)));
    if (!has) throw new Error(`there is no ${name} for ${target}`);
  }
}
