/** The programs of examples/: docs/library.md shows them as they are, they are short, and they run. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

test.each([...sources])("%s has at most 27 lines of code", (_file, text) => {
  const code = text.replace(/\/\*[^]*?\*\//g, "").split("\n");
  expect(code.filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length).toBeWithin(5, 27 + 1);
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

  test("own_step.ts: nothing misses its margin in the end", async () => {
    const said = await run("own_step.ts");
    expect(said).toMatch(/^step 10: loss 0\.\d*[1-9]\d*$/m);
    expect(said).toContain("step 40: loss 0.0000");
  });

  test("activation_map.ts: a class, and a picture of two characters a position", async () => {
    const [title, ...rows] = (await run("activation_map.ts", "figure.png", "cifar10")).trimEnd().split("\n");
    expect(title).toMatch(/^\w+, by cifar10-vgg:$/);
    expect(rows.join("")).toContain("██");
  });
});
