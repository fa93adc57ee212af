/** What the library exports: a list that is changed on purpose only, in which no type that a signature names is missing. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as library from "../src/index.ts";
import { exportsOf, missingTypes } from "./support/public_surface.ts";

const exported = exportsOf("index.ts");

test("the library exports what test/public_api.txt lists", () => {
  const found = exported.map(({ name, kind }) => `${kind} ${name}\n`).sort();
  expect(found.join("")).toBe(readFileSync(join(import.meta.dir, "public_api.txt"), "utf8"));
});

test("the list has everything that exists at run time", () => {
  const values = exported.filter(({ kind }) => kind !== "type").map(({ name }) => name);
  // Purpose is a type, too.
  expect([...new Set(values)].sort()).toEqual(Object.keys(library).sort());
});

test("every type in an exported signature is exported", () => {
  // What options are derived from: editors show the result.
  expect(missingTypes(exported)).toEqual(["schema.ts OptionsOf (in PackOptions)"]);
});

test("every exported function, class and value has a doc comment", () => {
  const bare = exported.filter(({ kind, file, own }) => {
    if (kind === "type" || kind === "namespace") return false;
    const text = readFileSync(join(import.meta.dir, "../src", file), "utf8");
    return !new RegExp(`\\*/\\nexport (?:abstract |async )*(?:function|class|const)\\*? ${own}\\b`).test(text);
  });
  expect(bare.map(({ name }) => name)).toEqual([]);
});

test("exported signatures name no type of Bun's or Node's", () => {
  const index = readFileSync(join(import.meta.dir, "../src/index.ts"), "utf8");
  expect(index).not.toMatch(/from "(?:bun|node:)/);
});
