import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildKernels } from "../../src/wasm/build.ts";

await buildKernels(() => {});

/** The contents of build/kernels.wasm. */
export function kernelsFile(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fileURLToPath(new URL("../../build/kernels.wasm", import.meta.url))));
}
