/** The programs of examples/: docs/library.md shows them as they are, they are short, and they run. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { small } from "../src/net/cifar_networks.ts";
import { saveUntrained } from "./support/checkpoints.ts";
import { temporaryFolder } from "./support/folders.ts";
import { figurePng, makePhotos } from "./support/images.ts";
import { endOf } from "./support/processes.ts";

const ROOT = join(import.meta.dir, "..");
const page = readFileSync(join(ROOT, "docs/library.md"), "utf8");
const sources = new Map(
  readdirSync(join(ROOT, "examples")).map((file) => [file, readFileSync(join(ROOT, "examples", file), "utf8")]),
);
test.each([...sources.keys()])("docs/library.md shows %s", (file) => {
  expect(page).toContain(`\`\`\`ts\n${sources.get(file)!}\`\`\`\n`);
});

test("docs/library.md shows no other program", () => {
  const blocks = [...page.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code!);
  expect(blocks.filter((code) => ![...sources.values()].includes(code))).toEqual([]);
});

/** How many lines of code each may take. */
const LONGEST: Readonly<Record<string, number>> = {
  "serve.ts": 10,
  "train.ts": 15,
  "own_network.ts": 20,
  "own_step.ts": 15,
  "activation_map.ts": 20,
  "own_loop.ts": 25,
};

test.each([...sources])("%s is short", (file, text) => {
  const code = text.replace(/\/\*[^]*?\*\//g, "").split("\n");
  const lines = code.filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length;
  expect(lines).toBeWithin(5, LONGEST[file]! + 1);
});

describe("each runs", () => {
  const folder = temporaryFolder();
  beforeAll(async () => {
    await makePhotos(join(folder.path, "photos"), 2, 6);
    writeFileSync(join(folder.path, "figure.png"), figurePng(0, 0));
  });
  afterAll(() => folder.remove());

  /** @returns what it prints */
  async function run(name: string, ...args: string[]): Promise<string> {
    const command = [process.execPath, join(ROOT, "examples", name), ...args];
    const child = Bun.spawn(command, { cwd: folder.path, stdout: "pipe", stderr: "pipe" });
    const { code, stdout, stderr } = await endOf(child);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  }

  test("train.ts: a line for each step and epoch, and the best", async () => {
    const said = await run("train.ts", "photos");
    expect(said.match(/^epoch \d, batch 1: loss \d/gm)).toHaveLength(3);
    expect(said.match(/^epoch \d: \d+\.\d% correct$/gm)).toHaveLength(3);
    expect(said).toMatch(/^epoch \d was the best: \S+cifar10-18pct-1$/m);
  });

  test("own_network.ts learns which way lines run", async () => {
    expect(Number(/^(\d+)% of the lines/.exec(await run("own_network.ts"))?.[1])).toBeWithin(90, 101);
  });

  test("own_loop.ts: the loss falls", async () => {
    const losses = [...(await run("own_loop.ts", "1000")).matchAll(/^step \d+: loss ([\d.]+)$/gm)];
    expect(losses).toHaveLength(2);
    expect(Number(losses[1]![1])).toBeLessThan(Number(losses[0]![1]));
  });

  test("own_step.ts: the loss falls", async () => {
    const losses = [...(await run("own_step.ts")).matchAll(/^step \d+: loss ([\d.]+)$/gm)].map(([, loss]) =>
      Number(loss),
    );
    expect(losses).toHaveLength(4);
    expect(losses[3]!).toBeLessThan(losses[0]! / 10);
  });

  test("activation_map.ts: a class, and a picture of two characters a position", async () => {
    const [title, ...rows] = (await run("activation_map.ts", "figure.png", "cifar10")).trimEnd().split("\n");
    expect(title).toMatch(/^\w+, by cifar10-airbench-middle:$/);
    expect(rows.join("")).toContain("██");
  });

  test("serve.ts answers with classes, and says what is wrong with an image", async () => {
    const weights = join(folder.path, "model.safetensors");
    await saveUntrained(weights, small, ["ants", "bees"], 1);
    // Another port, since that one may be taken.
    const code = sources
      .get("serve.ts")!
      .replace('"alexnet"', JSON.stringify(Bun.pathToFileURL(join(ROOT, "src/index.ts")).href))
      .replace("port: 2012", "port: 0");
    const path = join(folder.path, "serve.ts");
    writeFileSync(path, code);
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
});
