/** Output at a terminal: colours, and a progress line that is overwritten. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { cliAtTerminal, TINY } from "../support/cli.ts";
import { temporaryFolder } from "../support/folders.ts";
import { makePhotos } from "../support/images.ts";

setDefaultTimeout(120_000);

const folder = temporaryFolder();
afterAll(folder.remove);
const COLOUR = /\x1b\[\d+m/;
const COLUMNS = 60;

// Bun has no terminals on Windows.
describe.skipIf(process.platform === "win32")("at a terminal", () => {
  beforeAll(() => makePhotos(join(folder.path, "photos"), 2, 100));
  const train = (out: string, env: Record<string, string> = {}) =>
    cliAtTerminal(["train", "photos", ...TINY, "--epochs", "1", "--out", out], { cwd: folder.path, env });

  test("colours, and a progress line that fits and leaves nothing behind", async () => {
    const text = await train("coloured");
    expect(text).toMatch(COLOUR);
    const progress = text.split("\r\x1b[2K").slice(1);
    expect(progress.length).toBeGreaterThan(2);
    const shown = progress.map((piece) => piece.split("\r\n")[0]!);
    expect(shown.some((line) => line.startsWith("epoch 1/1 "))).toBe(true);
    // The last piece is written once the line is cleared.
    for (const line of shown.slice(0, -1)) expect(line.length).toBeLessThan(COLUMNS);
    expect(Bun.stripANSI(progress.at(-1)!)).toMatch(/^epoch  train loss  accuracy  val loss  accuracy\r\n    1  /);
    expect(progress.at(-1)).toContain("\r\nDone: ");
  });

  test("no colours with NO_COLOR, and no moving line on a dumb terminal", async () => {
    expect(await train("plain", { NO_COLOR: "1" })).not.toMatch(COLOUR);
    expect(await train("empty", { NO_COLOR: "" })).toMatch(COLOUR);
    expect(await train("dumb", { TERM: "dumb" })).not.toContain("\x1b");
  });

  test("an error is one line, its first word red", async () => {
    const text = await cliAtTerminal(["train", "nowhere"], { cwd: folder.path });
    expect(text).toMatch(/^\x1b\[31merror: \x1b\[0m.*nowhere does not exist: .*\r\n$/);
  });
});
