import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { command, installation, ROOT, VERSION } from "../src/program.ts";

test("a checkout knows that it is one, and how its commands are called", () => {
  expect(installation).toBe("checkout");
  expect(command("train --epochs 3")).toBe("bun run train --epochs 3");
  expect(command("train --resume", "my runs/it's", "--seed", "3")).toBe(
    String.raw`bun run train --resume 'my runs/it'\''s' --seed 3`,
  );
  expect(existsSync(join(ROOT, "src", "program.ts"))).toBe(true);
});

test("the version is the package's", () => {
  expect(VERSION).toBe(packageJson.version);
});

test("there is a script for each verb", () => {
  const verbs = [...new Bun.Glob("*/command.ts").scanSync(join(ROOT, "src", "verbs"))].map(
    (file) => file.split(/[\\/]/)[0]!,
  );
  const scripts: Readonly<Record<string, string>> = packageJson.scripts;
  expect(verbs.filter((verb) => scripts[verb] !== `bun src/setup.ts && bun src/main.ts ${verb}`)).toEqual([]);
});
