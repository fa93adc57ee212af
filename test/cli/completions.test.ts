import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { completions, SHELLS } from "../../src/cli/completions.ts";
import { cli } from "../support/cli.ts";

const verbs = [
  {
    name: "train",
    description: "Train a network: it's quick",
    options: [
      { name: "--epochs", description: "How many" },
      { name: "--epoch-images", description: "Images in each" },
    ],
  },
  { name: "predict", description: "Classify", options: [] },
];

describe.skipIf(!Bun.which("bash"))("bash", () => {
  const complete = (...words: string[]) => {
    const script = `${completions("bash", verbs)}
COMP_WORDS=(alexnet ${words.join(" ")}); COMP_CWORD=${words.length}; _alexnet; echo "\${COMPREPLY[@]}"`;
    return Bun.spawnSync(["bash", "--norc", "-c", script]).stdout.toString().trim();
  };
  test("verbs", () => expect(complete("tr")).toBe("train"));
  test("options of the verb", () => expect(complete("train", "--ep")).toBe("--epochs --epoch-images"));
  test("not those of another", () => expect(complete("predict", "--ep")).toBe(""));
});

test("descriptions are quoted for zsh and fish", () => {
  expect(completions("zsh", verbs)).toContain(`'train:Train a network: it'\\''s quick'`);
  expect(completions("fish", verbs)).toContain(`-a train -d 'Train a network: it'\\''s quick'`);
  expect(completions("fish", verbs)).toContain(`-n '__fish_seen_subcommand_from train' -l epochs -d 'How many'`);
});

test("the command has a script for each shell", async () => {
  const cwd = join(import.meta.dir, "../..");
  for (const shell of SHELLS) {
    const { stdout, code } = await cli(["completions", shell], { cwd });
    expect(code).toBe(0);
    for (const word of ["train", "predict", "epochs"]) expect(stdout).toContain(word);
  }
  const { stderr, code } = await cli(["completions", "csh"], { cwd });
  expect([code, stderr]).toEqual([2, "error: completions: name a shell: bash, zsh, fish\n"]);
}, 60_000);
