/**
 * What AMD's shader compiler makes of every kernel and variant: registers, spills, workgroup memory, and the waves that
 * fit at once, on chips from GCN 1 to RDNA 3. No such chip is needed: RADV, the Vulkan driver of Mesa up to 22.3, has a
 * device that only compiles.
 *
 *   bun bench/registers/main.ts [--out FILE]     # bench/results/registers-amd.json
 *
 * Needs naga (`cargo install naga-cli`), which wgpu too makes SPIR-V with, a C compiler, and Debian's mesa-vulkan-drivers
 * and libvulkan-dev. The exit code is 1 if a kernel spills.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { AlexNetError } from "../../src/errors.ts";
import { replaceFile } from "../../src/io/files.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { shaders, type Shader } from "../shaders.ts";
import { machine } from "../machine.ts";
import { CHIPS, wavesInFlight, type Chip } from "./occupancy.ts";
import { document, spills, type Results, type Row } from "./results.ts";

const DRIVERS = ["x86_64", "aarch64"].map((cpu) => `/usr/share/vulkan/icd.d/radeon_icd.${cpu}.json`);
const HERE = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../results/registers-amd.json", import.meta.url));

/** Runs a command. @returns what it printed @throws AlexNetError with what it says when it fails */
function output(words: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  if (!Bun.which(words[0]!)) throw new AlexNetError(`${words[0]} is missing: install it`);
  const { success, stdout, stderr } = Bun.spawnSync([...words], { env: { ...process.env, ...env } });
  if (!success) throw new AlexNetError(`${words[0]}: ${stderr.toString().trim() || "failed"}`);
  return stdout.toString();
}

/** SPIR-V of each shader, without bounds checks, as the program has it made. @returns the files */
function translate(list: readonly Shader[], folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  return list.map(({ name, wgsl }) => {
    const [from, to] = [join(folder, `${name}.wgsl`), join(folder, `${name}.spv`)];
    writeFileSync(from, wgsl);
    output(["naga", "--index-bounds-check-policy", "Unchecked", "--spirv-version", "1.3", from, to]);
    return to;
  });
}

/** Threads of a workgroup: `@workgroup_size(64)`, or of a constant. */
function threadsOf({ name, wgsl }: Shader): number {
  const [, size = ""] = /@workgroup_size\((\w+)\)/.exec(wgsl) ?? [];
  const threads = Number.parseInt(new RegExp(`const ${size} = (\\d+)u;`).exec(wgsl)?.[1] ?? size);
  if (!Number.isInteger(threads))
    throw new AlexNetError(`${name}: @workgroup_size(${size}) is neither a number nor a constant`);
  return threads;
}

type Statistics = Readonly<Record<string, number>> & { readonly file: string };

/** @returns the driver and its version, and a row for each shader */
function compile(program: string, driver: string, chip: Chip, list: readonly Shader[], files: readonly string[]) {
  const lines = output([program, ...files], { VK_DRIVER_FILES: driver, RADV_FORCE_FAMILY: chip.family })
    .trim()
    .split("\n");
  const [first, ...rest] = lines.map((line) => JSON.parse(line)) as [{ driver: string }, ...Statistics[]];
  const rows = rest.map((said): Row => {
    const shader = list.find(({ name }) => name === basename(said.file, ".spv"))!;
    const number = (name: string) => {
      if (said[name] === undefined)
        throw new AlexNetError(`${first.driver} has no statistic "${name}": Mesa 22.3 is needed`);
      return said[name];
    };
    const needs = {
      vgprs: number("VGPRs"),
      sgprs: number("SGPRs"),
      threads: threadsOf(shader),
      workgroupBytes: number("LDS size"),
    };
    return {
      kernel: shader.name,
      chip: chip.family,
      ...needs,
      spilledVgprs: number("Spilled VGPRs"),
      spilledSgprs: number("Spilled SGPRs"),
      scratchBytes: number("Scratch size"),
      waves: wavesInFlight(chip, needs),
    };
  });
  return { driver: first.driver, rows };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: "string", default: OUT } } });
  const driver = DRIVERS.find((path) => existsSync(path));
  if (!driver) throw new AlexNetError(`${DRIVERS[0]} is missing: apt-get install mesa-vulkan-drivers`);
  using folder = temporaryFolder("registers-");
  const program = join(folder.path, "statistics");
  output(["cc", "-O1", join(HERE, "statistics.c"), "-o", program, "-lvulkan"]);
  const list = shaders().filter(({ kernel }) => kernel !== "");
  const files = translate(list, folder.path);
  const compiled = CHIPS.map((chip) => compile(program, driver, chip, list, files));
  const rows = compiled.flatMap((each) => each.rows);
  const results: Results = {
    format: 1,
    machine: machine(),
    driver: compiled[0]!.driver,
    translator: `naga ${output(["naga", "--version"]).trim()}`,
    rows,
  };
  await replaceFile(values.out, (append) => append(new TextEncoder().encode(document(results))));
  const wrong = rows.filter(spills);
  for (const { kernel, chip } of wrong) console.log(`${kernel} spills on ${chip}`);
  console.log(
    `${list.length} kernels and variants on ${CHIPS.length} chips by ${results.driver}: ${wrong.length} spill`,
  );
  process.exitCode = wrong.length > 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof AlexNetError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
