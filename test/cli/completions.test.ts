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

describe.skipIf(!Bun.which("fish"))("fish", () => {
  const complete = (line: string) => {
    const script = `${completions("fish", verbs)}\ncomplete -C '${line}'`;
    return Bun.spawnSync(["fish", "--no-config", "-c", script]).stdout.toString().trim().split("\n");
  };
  test("verbs", () => expect(complete("alexnet tr")).toEqual(["train\tTrain a network: it's quick"]));
  test("options of the verb", () =>
    expect(complete("alexnet train --ep").sort()).toEqual(["--epoch-images\tImages in each", "--epochs\tHow many"]));
  test("not those of another", () => expect(complete("alexnet predict --ep")).toEqual([""]));
});

describe.skipIf(!Bun.which("zsh"))("zsh", () => {
  /** What the function hands to zsh's menus, whose own functions stand in for theirs here. */
  const complete = (...words: string[]) => {
    const script = `compdef() { : }
_describe() { print -rl -- "$1" "\${(@P)2}" }
_files() { print files }
${completions("zsh", verbs)}
words=(alexnet ${words.join(" ")}); CURRENT=${words.length + 1}; PREFIX=${words.at(-1)}; _alexnet`;
    return Bun.spawnSync(["zsh", "-f", "-c", script]).stdout.toString().trim().split("\n");
  };
  test("verbs", () =>
    expect(complete("tr")).toEqual(["command", "train:Train a network: it's quick", "predict:Classify"]));
  test("options of the verb", () =>
    expect(complete("train", "--ep")).toEqual(["option", "--epochs:How many", "--epoch-images:Images in each"]));
  test("otherwise files", () => expect(complete("train", "ants")).toEqual(["files"]));
});

test("of a description, menus show the first sentence", () => {
  const [train] = verbs;
  const described = [{ ...train!, description: "Train a network. mpiexec -n 2 alexnet train: on two devices" }];
  for (const shell of ["zsh", "fish"] as const) {
    expect(completions(shell, described)).toContain("Train a network'");
    expect(completions(shell, described)).not.toContain("mpiexec");
  }
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
