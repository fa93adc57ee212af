/** echarts_page.ts as one script for browsers. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { installation } from "../program.ts";

let script: Promise<string> | undefined;

/** A checkout bundles it when it is first asked for; packaging/build.ts has done so for packages and executables. */
export function echartsScript(): Promise<string> {
  return (script ??= installation === "checkout" ? bundleForBrowsers() : Promise.resolve(built()));
}

const built = (): string => readFileSync(fileURLToPath(new URL("./echarts_page.js", import.meta.url)), "utf8");

/** @throws AggregateError when it can't be bundled */
export async function bundleForBrowsers(): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [fileURLToPath(new URL("./echarts_page.ts", import.meta.url))],
    target: "browser",
    format: "iife",
    minify: true,
  });
  return outputs[0]!.text();
}
