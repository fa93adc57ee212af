/** A network by name or from a file: `--model alexnet`, `--model mine.ts`, `--model mine.json`. */
import { existsSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../errors.ts";
import { readFileUpTo, reason } from "../io/files.ts";
import { option } from "../option_names.ts";
import { defineNetwork, type NetworkDraft } from "./definition.ts";
import * as layers from "./layers/index.ts";
import { findNetwork } from "./networks.ts";
import type { Network } from "./recipe.ts";

const CODE: readonly string[] = [".ts", ".js", ".mts", ".mjs"];

/** Far more than any network that a person writes. */
const MAX_JSON_BYTES = 16 * 2 ** 20;

/**
 * The network called `model`, or the one that the file `model` defines. A .ts or .js file is run as part of this
 * program; its default export is a network, or a function from `layers` to one.
 * @throws UsageError for an unknown name, a missing file, or a mistake in the file
 */
export async function openNetwork(model: string): Promise<Network> {
  const ending = extname(model);
  if (ending !== ".json" && !CODE.includes(ending)) return findNetwork(model);
  if (!existsSync(model)) throw new UsageError(`${option("model")} ${model}: no such file`);
  const draft = ending === ".json" ? readJson(model) : await importDraft(model);
  return defineNetwork(draft, basename(model, ending), model);
}

function readJson(path: string): NetworkDraft {
  try {
    return JSON.parse(readFileUpTo(path, MAX_JSON_BYTES).toString("utf8")) as NetworkDraft;
  } catch (error) {
    throw new UsageError(`${path}: ${reason(error)}`, { cause: error });
  }
}

async function importDraft(path: string): Promise<NetworkDraft> {
  try {
    const { default: made } = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
    if (made === undefined) throw new UsageError("it has no default export: export the network as default");
    return (typeof made === "function" ? (made as Make)(layers) : made) as NetworkDraft;
  } catch (error) {
    throw new UsageError(`${path}: ${reason(error)}`, { cause: error });
  }
}

type Make = (of: typeof layers) => NetworkDraft;
