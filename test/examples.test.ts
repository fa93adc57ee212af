/** The examples: docs/library.md shows them as they are, and they run. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { small } from "../src/net/cifar_networks.ts";
import { saveUntrained } from "./support/checkpoints.ts";
import { temporaryFolder } from "./support/folders.ts";
import { figurePng } from "./support/images.ts";

setDefaultTimeout(60_000);

const ROOT = resolve(import.meta.dir, "..");
const folder = temporaryFolder();
afterAll(folder.remove);

const serve = readFileSync(join(ROOT, "examples/serve.ts"), "utf8");

test("docs/library.md shows examples/serve.ts, which has at most ten lines", () => {
  expect(readFileSync(join(ROOT, "docs/library.md"), "utf8")).toContain(`\`\`\`ts\n${serve}\`\`\``);
  const lines = serve
    .replace(/\/\*[^]*?\*\//g, "")
    .split("\n")
    .filter((line) => /^\s*(?!\/\/)\S/.test(line));
  expect(lines.length).toBeLessThanOrEqual(10);
});

test("examples/serve.ts answers with classes, and says what is wrong with an image", async () => {
  const weights = join(folder.path, "model.safetensors");
  await saveUntrained(weights, small, ["ants", "bees"], 1);
  // Another port, since that one may be taken.
  const code = serve
    .replace("../src/index.ts", Bun.pathToFileURL(join(ROOT, "src/index.ts")).href)
    .replace("port: 2012", "port: 0");
  const path = join(folder.path, "serve.ts");
  await Bun.write(path, code);
  const child = Bun.spawn([process.execPath, path, weights], { stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  const [, url] = /^curl --data-binary @photo\.jpg (http:\S+)\n$/.exec(new TextDecoder().decode(value))!;
  const post = (body: Uint8Array) => fetch(url!, { method: "POST", body: body as Uint8Array<ArrayBuffer> });
  const { classes } = (await (await post(figurePng(0, 0))).json()) as { classes: { name: string }[] };
  expect(classes.map(({ name }) => name).sort()).toEqual(["ants", "bees"]);
  const bad = await post(new TextEncoder().encode("no image"));
  expect([bad.status, await bad.json()]).toEqual([400, { error: "the image can't be used: it is not a JPEG, PNG or WebP image" }]); // prettier-ignore
  child.kill();
  await child.exited;
});
