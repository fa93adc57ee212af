/**
 * What the library exports, and the types its signatures name, read from the sources: their layout is `bun fmt`'s, and
 * exported functions state their types.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const SRC = join(import.meta.dir, "../../src");

export interface Exported {
  readonly name: string;
  readonly kind: "function" | "class" | "const" | "type" | "namespace";
  /** The file that declares it, and its name there. */
  readonly file: string;
  readonly own: string;
}

const sources = new Map<string, string>();

function sourceOf(file: string): string {
  const text = sources.get(file) ?? readFileSync(join(SRC, file), "utf8").replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  sources.set(file, text);
  return text;
}

const pathFrom = (file: string, target: string) => join(dirname(file), target).replaceAll("\\", "/");

const known = new Map<string, readonly Exported[]>();

/** Everything that a file exports. */
export function exportsOf(file: string): readonly Exported[] {
  const found = known.get(file) ?? readExports(file);
  known.set(file, found);
  return found;
}

function readExports(file: string): Exported[] {
  const text = sourceOf(file);
  const found: Exported[] = [];
  for (const [, target] of text.matchAll(/^export \* from "([^"]+)";/gm))
    found.push(...exportsOf(pathFrom(file, target!)));
  for (const [, name, target] of text.matchAll(/^export \* as (\w+) from "([^"]+)";/gm)) {
    found.push({ name: name!, kind: "namespace", file: pathFrom(file, target!), own: "*" });
  }
  for (const [, type, names, target] of text.matchAll(/^export (type )?\{([^}]*)\} from "([^"]+)";/gm)) {
    for (const part of names!.split(",")) {
      const words = part.trim().replace(/^type /, "");
      if (words === "") continue;
      const isType = type !== undefined || words !== part.trim();
      const [own, name = own] = words.split(" as ");
      const from = exportsOf(pathFrom(file, target!)).find((each) => each.name === own);
      if (!from) throw new Error(`${file}: ${target} exports no ${own}`);
      found.push({ ...from, name: name!, ...(isType && { kind: "type" as const }) });
    }
  }
  const declared = /^export (?:declare |abstract |async )*(function|class|const|interface|type)\*? (\w+)/gm;
  for (const [, word, name] of text.matchAll(declared)) {
    const kind = word === "interface" || word === "type" ? "type" : (word as Exported["kind"]);
    found.push({ name: name!, kind, file, own: name! });
  }
  return found;
}

/** The declarations of a name in a file, without the bodies of functions and what is private. */
function declarationOf(file: string, name: string): string {
  const lines = sourceOf(file).split("\n");
  const begins = new RegExp(`^(?:export )?(?:abstract |async )*(function|class|const|interface|type)\\*? ${name}\\b`);
  return lines
    .flatMap((line, at) => {
      const kind = begins.exec(line)?.[1];
      if (kind === undefined) return [];
      const end = (is: (line: string) => boolean) =>
        lines.slice(at, 1 + lines.findIndex((each, i) => i >= at && is(each)));
      if (kind === "interface") return end((each) => each === "}" || /\{\}$/.test(each));
      if (kind === "type") return end((each) => each.endsWith(";") && /^(?:export type|\S|  [|&]|  \S.*;$)/.test(each));
      if (kind === "class") return membersOf(end((each) => each === "}"));
      if (kind === "function") return end((each) => /^(?:export|async|function|\)).*\{$/.test(each));
      return end((each) => /=>|= /.test(each)).map((each) =>
        each.replace(/(?<!=)=(?![>=]).*/, (rest) => (/=>/.test(rest) ? rest : "")),
      );
    })
    .join("\n");
}

/** The header of a class, and its public members without their bodies. */
function membersOf([header, ...lines]: readonly string[]): string[] {
  const found = [header!];
  for (let i = 0; i < lines.length; i++) {
    if (!/^  [\w[]/.test(lines[i]!)) continue;
    const from = i;
    while (!/(?:\{|;)$/.test(lines[i]!)) i++;
    const isHidden = /^  (?:private|protected) /.test(lines[from]!);
    if (!isHidden) found.push(...lines.slice(from, i + 1).map((line) => line.replace(/ = .*;$/, ";")));
    if (lines[i]!.endsWith("{")) while (!/^  \}/.test(lines[i]!)) i++;
  }
  return found;
}

/** Names that a file declares as types, with the place of the declaration for those it imports. */
function typesIn(file: string): Map<string, { readonly file: string; readonly own: string }> {
  const text = sourceOf(file);
  const found = new Map<string, { file: string; own: string }>();
  for (const [, name] of text.matchAll(/^(?:export )?(?:abstract )?(?:class|interface|type) (\w+)/gm)) {
    found.set(name!, { file, own: name! });
  }
  for (const [, names, target] of text.matchAll(/^import (?:type )?\{([^}]*)\} from "(\.[^"]+)";/gm)) {
    for (const part of names!.split(",")) {
      const [own = "", name = own] = part
        .trim()
        .replace(/^type /, "")
        .split(" as ");
      const at = exportsOf(pathFrom(file, target!)).find((each) => each.name === own);
      if (at?.kind === "type" || at?.kind === "class") found.set(name, { file: at.file, own: at.own });
    }
  }
  return found;
}

/** "NAME (in EXPORTED)" for each type that an exported declaration names and that is not exported itself. */
export function missingTypes(exported: readonly Exported[]): string[] {
  const listed = new Set(exported.map(({ file, own }) => `${file} ${own}`));
  const missing = new Map<string, string>();
  for (const { name, file, own, kind } of exported) {
    if (kind === "namespace") continue;
    const types = typesIn(file);
    const text = declarationOf(file, own).replace(/"[^"\n]*"|`[^`]*`/g, "");
    for (const [word] of text.matchAll(/\b[A-Z]\w*\b/g)) {
      const type = types.get(word);
      if (type && !listed.has(`${type.file} ${type.own}`)) missing.set(`${type.file} ${type.own}`, name);
    }
  }
  return [...missing].map(([type, name]) => `${type} (in ${name})`).sort();
}
