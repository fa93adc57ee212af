/**
 * Compiles kernels/wasm/*.ts (AssemblyScript) to build/kernels.wasm. A custom section of the file holds the hash of its
 * sources, so that nothing is compiled when nothing has changed. Packages and executables contain the file.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { DeviceError } from "../errors.ts";
import { reason, replaceFileSync } from "../io/files.ts";
import { installation, ROOT } from "../program.ts";

const SOURCES = "kernels/wasm";
const OUTPUT = `${ROOT}build/kernels.wasm`;
const SECTION = "sources";
const FLAGS = [
  "-O3",
  "--runtime",
  "stub",
  "--noAssert",
  "--enable",
  "simd,threads,bulk-memory",
  "--importMemory",
  "--sharedMemory",
  "--initialMemory",
  "1",
  "--maximumMemory",
  "65536",
];

/**
 * Brings build/kernels.wasm up to date: takes seconds when a kernel has changed, otherwise milliseconds.
 * @throws DeviceError with the compiler's message when a kernel does not compile
 */
export async function buildKernels(say: (line: string) => void): Promise<void> {
  const hash = sourceHash();
  if (builtFrom() === hash) return;
  say("Compiling the CPU kernels (kernels/wasm)");
  const binary = await compile(`${SOURCES}/index.ts`);
  try {
    replaceFileSync(OUTPUT, Buffer.concat([binary, customSection(SECTION, hash)]));
  } catch (error) {
    throw new DeviceError(
      `the CPU kernels compile, but can't be written to ${OUTPUT}: ${reason(error)}: run \`bun src/setup.ts\` once ` +
        `as a user who may write there`,
      { cause: error },
    );
  }
}

/** The compiled kernels; in a checkout they are built first if missing or out of date. @throws DeviceError */
export async function loadKernels(): Promise<WebAssembly.Module> {
  return new WebAssembly.Module(await readKernels());
}

/** As `loadKernels`, the bytes. */
export async function readKernels(): Promise<Uint8Array<ArrayBuffer>> {
  if (installation === "checkout") await buildKernels(() => {});
  return readFileSync(OUTPUT);
}

function sourceHash(): string {
  const hash = createHash("sha256").update(JSON.stringify(FLAGS));
  for (const file of readdirSync(ROOT + SOURCES).sort())
    hash.update(file).update(readFileSync(`${ROOT}${SOURCES}/${file}`));
  return hash.digest("hex");
}

/** The hash in the existing file, if there is one. */
function builtFrom(): string | undefined {
  let binary: Buffer;
  try {
    binary = readFileSync(OUTPUT);
  } catch {
    return undefined;
  }
  // The section comes last, so the file ends with the 64 hexadecimal digits.
  return binary.subarray(-64).toString("latin1");
}

/**
 * @param entry an AssemblyScript file, relative to the project's folder
 * @throws DeviceError with the compiler's message when it does not compile
 */
export async function compile(entry: string): Promise<Uint8Array<ArrayBuffer>> {
  const { default: asc } = await import("assemblyscript/asc").catch((cause: unknown) => {
    throw new DeviceError("the CPU kernels must be compiled, but the compiler is not installed: run bun install", {
      cause,
    });
  });
  let binary: Uint8Array<ArrayBuffer> | undefined;
  let messages = "";
  const collect = { write: (text: string | Uint8Array) => ((messages += String(text)), true) };
  const { error } = await asc.main([entry, "--baseDir", ROOT, "--outFile", "kernels.wasm", ...FLAGS], {
    stdout: collect,
    stderr: collect,
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = new Uint8Array(contents);
    },
  });
  if (error || !binary) throw new DeviceError(`the CPU kernels don't compile: ${messages || error}`);
  return binary;
}

/** A WebAssembly custom section: id 0, size, length of the name, name, content (each length below 128). */
function customSection(name: string, content: string): Uint8Array {
  const body = Buffer.from(String.fromCharCode(name.length) + name + content, "latin1");
  return Buffer.concat([Uint8Array.of(0, body.length), body]);
}
