/**
 * What in a file may be a network's weights: each dictionary, and within a dictionary each prefix, since a module may
 * have been saved together with its loss. Prefixes that all names share, such as "module.", are removed.
 */
import { brief } from "../../io/foreign.ts";
import type { Dictionary, ForeignTensor, WeightFile } from "./weight_file.ts";

interface NamedTensor extends ForeignTensor {
  readonly name: string;
}

export interface Candidate {
  /** As in `Dictionary`, followed by the prefix, if it is only that part. */
  readonly place: string;
  readonly tensors: readonly NamedTensor[];
  /** Names of tensors left out: those under other prefixes, which belong to no layer. */
  readonly beside: readonly string[];
}

/** What this program saves beside a network's weights. */
const ASIDE = /^(preprocessing|velocity|optimizer)\./;
/** No program nests names deeper. */
const MAX_PREFIXES = 8;

export function candidatesOf({ dictionaries }: WeightFile): Candidate[] {
  return dictionaries.flatMap((dictionary) => {
    const whole = plainNames(dictionary);
    return [whole, ...partsOf(whole)];
  });
}

/** The whole dictionary, without shared prefixes and without scalars, which are counters. */
function plainNames({ place, tensors }: Dictionary<ForeignTensor>): Candidate {
  let list: NamedTensor[] = [...tensors]
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
 * The tensors under each prefix, unless that would leave out layers: those under other prefixes must be copies, such as
 * averages over the training, or only scalars and vectors, such as a loss's, since every layer has a matrix of weights.
 */
function partsOf({ place, tensors }: Candidate): Candidate[] {
  const groups = [...Map.groupBy(tensors, ({ name }) => prefixOf(name))];
  const shapesOf = (group: readonly NamedTensor[]) => group.map(({ shape }) => shape.join("×")).join();
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

/** "conv1." from "conv1.weight", "" from "weight". */
const prefixOf = (name: string): string => name.slice(0, name.indexOf(".") + 1);

const without = (prefix: string, { name, shape, read }: NamedTensor): NamedTensor => ({
  ...{ name: name.slice(prefix.length), shape, read },
});

/**
 * The tensors with these names, in this order. Wrappers may have added parts to names anywhere:
 * features.module.0.weight is taken for features.0.weight.
 * @returns undefined unless there is exactly one for each name
 */
export function byNames(names: readonly string[], tensors: readonly NamedTensor[]): NamedTensor[] | undefined {
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

/** Whether `wanted` is what remains of a name's parts after removing some, but not the last. */
function isWrapped(wanted: readonly string[], parts: readonly string[]): boolean {
  let next = 0;
  for (const part of parts) if (part === wanted[next]) next++;
  return next === wanted.length && parts.at(-1) === wanted.at(-1);
}
