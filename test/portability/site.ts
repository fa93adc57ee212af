/**
 * The project's page in Chromium, all of it: `bun test/portability/site.ts [webgpu] [webassembly]`. On each device a
 * network is trained to 95%, and all kernels are checked and timed; without an argument on both. Exit code 1 if anything
 * is not as it should be. WebGPU is SwiftShader's where there is no GPU, which takes half an hour on two cores.
 */
import { join } from "node:path";
import { buildSite, serve } from "../../packaging/site.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import { openVisitor, type Visitor } from "../support/site_page.ts";

const DEVICES = ["webassembly", "webgpu"];
const HOUR = 3600;

let failures = 0;
function judge(what: string, isRight: boolean, words: string): void {
  if (!isRight) failures++;
  console.log(`${isRight ? "ok  " : "FAIL"}  ${what}: ${words}`);
}

async function train(visitor: Visitor, site: URL, device: string): Promise<void> {
  await visitor.visit(new URL(`index.html?device=${device}&seed=0`, site));
  await visitor.click("start");
  await visitor.until(`document.body.dataset.phase === "over"`, HOUR);
  const words = await visitor.text("status");
  const reached = Number(/^Done: ([\d.]+)%/.exec(words)?.[1] ?? 0);
  judge(`training, ${device}`, reached >= 95, `${words} ${await visitor.text("phase")}`);
}

async function examine(visitor: Visitor, site: URL, device: string): Promise<void> {
  await visitor.visit(new URL(`gpu.html?device=${device === "webgpu" ? "auto" : device}`, site));
  await visitor.click("start");
  await visitor.until(`document.body.dataset.phase === "over"`, HOUR);
  const report = await visitor.evaluate<string>(`document.getElementById("text").value`);
  console.log(report.replace(/^/gm, "      "));
  const isRight = / sizes: correct, /.test(report) && !/WRONG|Ended early/.test(report);
  judge(`kernels, ${device}`, isRight, await visitor.text("status"));
  const isDevice = new RegExp(`^###.*, ${device}\n`, "i").test(report);
  judge(`device, ${device}`, isDevice, report.split("\n")[0]!);
}

const named = process.argv.slice(2);
const wrong = named.find((name) => !DEVICES.includes(name));
if (wrong !== undefined) {
  process.stderr.write(`bun test/portability/site.ts: "${wrong}" is not one of ${DEVICES.join(", ")}\n`);
  process.exit(2);
}
using folder = temporaryFolder("alexnet-site-");
const site = join(folder.path, "site");
await buildSite({ folder: site });
const server = serve(site, 0);
try {
  await using visitor = await openVisitor();
  for (const device of named.length > 0 ? named : DEVICES) {
    await train(visitor, server.url, device);
    await examine(visitor, server.url, device);
  }
  judge("console", visitor.complaints().length === 0, visitor.complaints().join("\n") || "empty");
} finally {
  await server.stop(true);
}
process.exitCode = failures === 0 ? 0 : 1;
