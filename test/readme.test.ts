/**
 * The documents: their examples of the library run as they stand, their links and pictures are there, their commands and
 * options exist, and so do the files that they name.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { temporaryFolder } from "./support/folders.ts";

const ROOT = resolve(import.meta.dir, "..");
const FOLDERS = ["docs", "models", "bench", "bench/peers", "test/faults", "test/portability"];

const documents = ["*.md", "docs/**/*.md", ...FOLDERS.map((folder) => `${folder}/*.md`)]
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)])
  .map((file) => file.replaceAll("\\", "/"));
const pages = new Map([...new Set(documents)].sort().map((file) => [file, readFileSync(join(ROOT, file), "utf8")]));
const each = [...pages].map(([file, text]) => [file, text] as const);

/** What is written in blocks of code, a line each, and what in the text between backticks. */
function codeOf(page: string): { blocks: string[]; spans: string[]; prose: string } {
  const blocks: string[] = [];
  const prose = page.replace(/^```(\w*)\n([^]*?)^```$/gm, (_, language: string, code: string) => {
    if (language === "") blocks.push(...code.split("\n"));
    return "";
  });
  return { blocks, spans: [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!), prose };
}

/** The anchors that GitHub gives to headings. */
function anchorsOf(page: string): string[] {
  const headings = codeOf(page).prose.matchAll(/^#{1,6} (.+)$/gm);
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test("README.md takes two minutes", () => {
  const readme = pages.get("README.md")!;
  expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(150);
  expect(readme.split("\n").slice(0, 5).join("\n")).toContain("![");
});

describe("links", () => {
  test.each(each)("%s", (file, text) => {
    const broken = [...codeOf(text).prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
      if (/^https?:/.test(target!)) return [];
      const [path = "", anchor] = target!.split("#");
      const found = path === "" ? file : relative(ROOT, resolve(ROOT, dirname(file), path)).replaceAll("\\", "/");
      if (!existsSync(join(ROOT, found))) return [target];
      return anchor === undefined || anchorsOf(pages.get(found) ?? "").includes(anchor) ? [] : [target];
    });
    expect(broken).toEqual([]);
  });

  test("every page of docs/ is in its index, every part in ARCHITECTURE.md", () => {
    const missing = each.flatMap(([file]) => {
      const [, part, name] = /^docs\/(architecture\/)?([\w-]+\.md)$/.exec(file) ?? [];
      if (name === undefined || file === "docs/README.md") return [];
      const [index, link] = part ? ["ARCHITECTURE.md", `docs/architecture/${name}`] : ["docs/README.md", name];
      return pages.get(index)!.includes(`](${link})`) ? [] : [file];
    });
    expect(missing).toEqual([]);
  });
});

test("the files that they name", () => {
  const missing = each.flatMap(([file, text]) => {
    const { blocks, spans } = codeOf(text);
    const words = [...blocks, ...spans].flatMap((line) => line.replace(/\s+#.*$/, "").split(/[\s"'(),;]+/));
    const paths = words.filter((word) => /^(?:src|test|bench|kernels|docs|models|\.ci)\/[\w./*-]+$/.test(word));
    return paths
      .filter((path) => !/NAME|\.\.\./.test(path))
      .filter((path) => !existsSync(join(ROOT, path)) && [...new Bun.Glob(path).scanSync(ROOT)].length === 0)
      .map((path) => `${file}: ${path}`);
  });
  expect(missing).toEqual([]);
});

/** The scripts that aren't verbs. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = { bench: ["bench/main.ts"], site: ["packaging/site.ts"] };

describe("commands", () => {
  const scripts = Object.keys(packageJson.scripts);
  const verbs = scripts.filter((name) => !["build", "check", "prepack", "test", "typecheck"].includes(name));
  const help = new Map<string, Set<string>>();

  /** The options of a verb, as its --help lists them. */
  async function optionsOf(verb: string): Promise<Set<string>> {
    const known = help.get(verb);
    if (known) return known;
    const program = PROGRAMS[verb] ?? ["src/main.ts", verb];
    const { stdout, exited } = Bun.spawn([process.execPath, ...program, "--help"], { cwd: ROOT, stderr: "ignore" });
    const text = Bun.stripANSI(await new Response(stdout).text());
    expect(await exited).toBe(0);
    const options = new Set([...text.matchAll(/--([\w-]+)/g)].map((match) => match[1]!));
    help.set(verb, options.add("help"));
    return options;
  }

  test.each(each)(
    "%s",
    async (file, text) => {
      const { blocks, spans } = codeOf(text);
      const wrong: string[] = [];
      for (const line of [...blocks, ...spans].map((each) => each.replace(/\s+#\s.*$/, ""))) {
        for (const [command, verb] of line.matchAll(
          /\b(?:(?:bun|bun@[\d.]+) run|(?:^|npx |bunx )alexnet) ([a-z]+)\b[^;|&]*/g,
        )) {
          // The command line itself answers this one.
          if (verb !== "completions" && !scripts.includes(verb!)) wrong.push(command);
          if (!verbs.includes(verb!)) continue;
          const options = await optionsOf(verb!);
          for (const [, option] of command.matchAll(/\s--([\w-]+)/g)) {
            if (!options.has(option!)) wrong.push(command);
          }
        }
        // An option by itself belongs to some verb; in bench/ and test/ it may be one of their own programs.
        const [, alone] = /^--([\w-]+)/.exec(line) ?? [];
        if (alone === undefined || /^(?:bench|test)\//.test(file)) continue;
        const all = await Promise.all(verbs.map(optionsOf));
        if (!all.some((options) => options.has(alone))) wrong.push(line);
      }
      expect(wrong).toEqual([]);
    },
    60_000,
  );
});

describe("examples", () => {
  /** Runs example `number` of the `of` that a page has in a language. @returns what it prints */
  function run(
    file: string,
    language = "ts",
    command: readonly string[] = [],
    { number, of } = { number: 1, of: 1 },
  ): string {
    const blocks = [...pages.get(file)!.matchAll(/^```(\w+)\n([^]*?)^```$/gm)];
    const examples = blocks.filter((block) => block[1] === language).map((block) => block[2]!);
    expect(examples).toHaveLength(of);
    const code = examples[number - 1];
    const { path: folder, remove } = temporaryFolder();
    try {
      const example = join(folder, `example.${language}`);
      const library = Bun.pathToFileURL(join(ROOT, "src/index.ts")).href;
      writeFileSync(example, code!.replace("./src/index.ts", library));
      const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, ...command, example], { cwd: folder });
      expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
      return stdout.toString();
    } finally {
      remove();
    }
  }

  test.each(["ts", "json"])("docs/networks.md: a network in a .%s file", (language) => {
    const layers = run("docs/networks.md", language, [join(ROOT, "src/main.ts"), "models"]);
    expect(layers).toMatch(/^conv1 +conv .*16×28×28/m);
    expect(layers).toMatch(/^fc +fc +2 units/m);
  });

  test("README.md: a training, and how accurate its network is", () => {
    const [accuracy, ...classes] = run("README.md").trimEnd().split("\n");
    expect(Number(/^([\d.]+)% accuracy$/.exec(accuracy!)?.[1])).toBeWithin(50, 100);
    expect(classes.filter((line) => /^\w+ \d+ of 200$/.test(line))).toHaveLength(10);
  }, 240_000);
});
