/**
 * The kernels and a training in headless Chromium, on WebGPU and on WebAssembly: every kernel at all sizes against its
 * reference, and the built-in set to 95% accuracy. Without a GPU that is SwiftShader, which takes its time: minutes on
 * two free cores. Exit code 0 if all is well.
 *
 *   bun test/portability/browser.ts [webgpu|webassembly]
 */
import { openPage } from "../support/chromium.ts";
import type { Checks } from "../web/checks.ts";
import { bundle, serve } from "../web/pages.ts";

const BOUND = 0.95;

const [, , only] = process.argv;
const devices = (["webassembly", "webgpu"] as const).filter((device) => only === undefined || device === only);
if (devices.length === 0) {
  process.stderr.write(`browser.ts: "${only}" is no device of a page: webgpu, webassembly, or nothing for both\n`);
  process.exit(2);
}

const { texts } = await bundle(new URL("../web/checks.ts", import.meta.url));
using site = serve(texts[0]!);
await using page = await openPage(site.url);
const ask = <K extends keyof Checks>(check: K, ...given: Parameters<Checks[K]>) =>
  page.evaluate<Awaited<ReturnType<Checks[K]>>>(`checks.${check}(...${JSON.stringify(given)})`);

let failures = 0;
for (const device of devices) {
  const { description } = await ask("describe", device);
  console.log(`${device}: ${description}`);
  const { kernels, variants, cases, words, seconds } = await ask("kernels", device, "all");
  if (words) failures++;
  const counted = `${kernels} and ${variants} variants at ${cases} sizes`;
  console.log(`  kernels ${words ?? "correct"}: ${counted}, ${seconds.toFixed(0)} s`);
  // A software GPU computes some 20 images a second.
  const [network, sizes] =
    device === "webassembly"
      ? (["small", { train: 8000, val: 1000, epochs: 3, batch: 128 }] as const)
      : (["tiny", { train: 2000, val: 500, epochs: 4, batch: 32 }] as const);
  const trained = await ask("training", device, network, sizes);
  if (trained.accuracy < BOUND) failures++;
  const steps = trained.losses.length;
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  console.log(
    `  training (${network}) ${trained.accuracy < BOUND ? "failed" : "learns"}: ${percent(trained.accuracy)} right ` +
      `after ${steps} steps, of ${percent(BOUND)}; ${trained.seconds.toFixed(0)} s`,
  );
}
for (const line of page.console) console.log(`  console: ${line}`);
if (page.console.length > 0) failures++;
console.log(failures === 0 ? "All is well." : `${failures} failed.`);
process.exitCode = failures === 0 ? 0 : 1;
