/** Messages name options as the caller does: a program's keys, or the flags of a command. */
import { expect, test } from "bun:test";
import { option, setting } from "../src/option_names.ts";
import { cli } from "./support/cli.ts";

test("to a program", () => {
  expect([option("holdOut"), setting("holdOut", 0.2), setting("from", "none")]).toEqual([
    "holdOut",
    "holdOut: 0.2",
    'from: "none"',
  ]);
  expect(setting("allowChangedData", true)).toBe("allowChangedData: true");
});

test("at a terminal, in a process of its own", () => {
  const code = `
    import { nameFlags, option, setting } from ${JSON.stringify(new URL("../src/option_names.ts", import.meta.url).href)};
    nameFlags();
    console.log([option("holdOut"), option("encoding", "as"), setting("from", "none"), setting("allowChangedData", true)].join());
  `;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", code]);
  expect(stdout.toString()).toBe("--hold-out,--as,--from none,--allow-changed-data\n");
});

test("the command line", async () => {
  const { stderr, code } = await cli(["train", "--epoch-images", "-1"], { cwd: import.meta.dir });
  expect([stderr, code]).toEqual(["error: --epoch-images -1: must be a whole number above 0\n", 2]);
});
