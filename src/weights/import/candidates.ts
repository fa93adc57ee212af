/**
 * What of a file may be a network's weights: each of its dictionaries, and each part of one that has a prefix of its own, as
 * a module that is trained together with its loss. Prefixes that all names have, such as "module.", are taken away.
 */
import { brief } from "../../io/foreign.ts";
import type { Dictionary, SourceTensor, WeightFile } from "./source.ts";

export interface Named extends SourceTensor {
  readonly name: string;
}

export interface Candidate {
  /** As in `Dictionary`, with the prefix of a part behind it. */
  readonly place: string;
  readonly tensors: readonly Named[];
  /** The names of tensors that are left out: of a part those of other parts that are no layers. */
  readonly beside: readonly string[];
}

/** What this program keeps beside a network's weights. */
const ASIDE = /^(preprocessing|velocity|optimizer)\./;
/** More names within names are no prefix of any program's. */
const MAX_PREFIXES = 8;

export function candidatesOf({ dictionaries }: WeightFile): Candidate[] {
  return dictionaries.flatMap((dictionary) => {
    const whole = plainNames(dictionary);
    return [whole, ...partsOf(whole)];
  });
}

/** Without what stands before all names, and without counters. */
function plainNames({ place, tensors }: Dictionary<SourceTensor>): Candidate {
  let list: Named[] = [...tensors]
    .filter(([name, { shape }]) => !ASIDE.test(name) && shape.length > 0)
    .map(([name, { shape, read }]) => ({ name, shape, read }));
  for (let depth = 0; depth < MAX_PREFIXES; depth++) {
    const prefix = prefixOf(list[0]?.name ?? "");
    const isShared =
      prefix !== "" && list.every(({ name }) => name.startsWith(prefix) && name.indexOf(".", prefix.length) > 0);
    if (!isShared) break;
    list = list.map((tensor) => without(prefix, tensor));
  }
  return { place, tensors: list, beside: [] };
}

/**
 * The tensors under each of the prefixes, where nothing is lost by taking one: the others are copies of it, such as an
 * average over the training, or have no tensor of two sides, as every layer that computes has, such as a loss.
 */
function partsOf({ place, tensors }: Candidate): Candidate[] {
  const groups = [...Map.groupBy(tensors, ({ name }) => prefixOf(name))];
  const shapesOf = (group: readonly Named[]) => group.map(({ shape }) => shape.join("×")).join();
  return groups.flatMap(([prefix, own]) => {
    if (prefix === "" || groups.length === 1) return [];
    const others = groups.filter(([each]) => each !== prefix).map(([, group]) => group);
    const shapes = shapesOf(own);
    const beside = others.filter((group) => shapesOf(group) !== shapes).flat();
    if (beside.some(({ shape }) => shape.length > 1)) return [];
    return [
      {
        place: [place, prefix.slice(0, -1)].filter((part) => part !== "").join("."),
        tensors: own.map((tensor) => without(prefix, tensor)),
        beside: beside.map(({ name }) => brief(name)),
      },
    ];
  });
}

/** "conv1." of conv1.weight, "" of weight. */
const prefixOf = (name: string): string => name.slice(0, name.indexOf(".") + 1);

const without = (prefix: string, { name, shape, read }: Named): Named => ({
  ...{ name: name.slice(prefix.length), shape, read },
});

/**
 * The tensors that go by these names, in their order. Parts of names that wrappers add, at any place, may stand between:
 * features.module.0.weight is features.0.weight.
 * @returns undefined when there is not exactly one for each name
 */
export function byNames(names: readonly string[], tensors: readonly Named[]): Named[] | undefined {
  const exact = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  if (names.every((name) => exact.has(name))) return names.map((name) => exact.get(name)!);
  if (names.length !== tensors.length) return undefined;
  const split = tensors.map((tensor) => ({ tensor, parts: tensor.name.split(".") }));
  const chosen = names.map((name) => {
    const wanted = name.split(".");
    const fitting = split.filter(({ parts }) => isWrapped(wanted, parts));
    return fitting.length === 1 ? fitting[0]!.tensor : undefined;
  });
  const found = chosen.filter((tensor) => tensor !== undefined);
  return new Set(found).size === names.length ? found : undefined;
}

/** Whether what is wanted is left of a name's parts when some are taken away, none of them the last. */
function isWrapped(wanted: readonly string[], parts: readonly string[]): boolean {
  let next = 0;
  for (const part of parts) if (part === wanted[next]) next++;
  return next === wanted.length && parts.at(-1) === wanted.at(-1);
}
