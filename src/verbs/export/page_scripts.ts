/** The script of an exported page, and that of its worker, for browsers. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { installation } from "../../program.ts";

export interface PageScripts {
  readonly page: string;
  readonly worker: string;
}

/** A checkout bundles them when they are needed; packaging/build.ts has done so for packages and executables. */
export async function pageScripts(): Promise<PageScripts> {
  return installation === "checkout" ? bundlePageScripts() : { page: built("page"), worker: built("worker") };
}

const built = (name: keyof PageScripts): string =>
  readFileSync(fileURLToPath(new URL(`../../web/photo/${name}.js`, import.meta.url)), "utf8");

/** @throws AggregateError when they can't be bundled */
export async function bundlePageScripts(): Promise<PageScripts> {
  const [page, worker] = await Promise.all([bundle("page"), bundle("worker")]);
  return { page: page!, worker: worker! };
}

async function bundle(name: keyof PageScripts): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [fileURLToPath(new URL(`../../web/photo/${name}.ts`, import.meta.url))],
    target: "browser",
    format: "iife",
    minify: true,
    // Kernels say where they are declared, which nobody asks for in a page; outside of modules it would be an error.
    define: { "import.meta.url": '""' },
  });
  return outputs[0]!.text();
}
