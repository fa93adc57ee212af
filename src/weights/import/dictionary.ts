/**
 * Finds the dictionaries of tensors in a pickle. Programs save much beside the weights, under names of their own:
 * settings, optimizers, averages, objects of any class. All of it is searched; which dictionary is a network's is
 * decided later, by the tensors' names and shapes.
 */
import { CheckpointError } from "../../errors.ts";
import { brief, damaged } from "../../io/foreign.ts";
import { Unknown } from "./pickle.ts";
import type { Dictionary, ForeignTensor } from "./weight_file.ts";

interface Found<T> {
  /** The likeliest to be weights first. */
  readonly dictionaries: readonly Dictionary<T>[];
  /** The class of an object found where weights usually are, instead of tensors. */
  readonly object?: string;
}

/** The usual keys of weights, the likeliest first. */
const USUAL = ["state_dict", "model_state_dict", "model", "net", "network", "params", "weights"];
/** The usual keys of averages over the training: good weights too, but not those that were trained last. */
const AVERAGES = /(^|_)ema|average|swa|shadow/i;
const MAX_DEPTH = 6;
const MAX_TENSORS = 10_000;
/** More are an optimizer's, one for each parameter. */
const MAX_DICTIONARIES = 32;

interface Nested {
  readonly place: readonly string[];
  readonly value: unknown;
}

/** @throws CheckpointError when there is no dictionary of tensors, or one of more than MAX_TENSORS */
export function findDictionaries<T>(path: string, top: unknown, isTensor: (part: unknown) => part is T): Found<T> {
  const found: { place: readonly string[]; tensors: ReadonlyMap<string, T> }[] = [];
  const unknown: Nested[] = [];
  const seen = new Set<unknown>([top]);
  const pending: Nested[] = [{ place: [], value: top }];
  const few: Few<T> = new Map();
  for (const { place, value } of pending) {
    if (value instanceof Unknown) unknown.push({ place, value: value.name });
    const tensors = value instanceof Map ? tensorsOf(path, value, place.length === 0, isTensor, few) : undefined;
    if (tensors && tensors.size > 0) found.push({ place, tensors });
    if (place.length === MAX_DEPTH) continue;
    for (const [key, part] of value instanceof Map || Array.isArray(value) ? value.entries() : []) {
      if (!(part instanceof Map || Array.isArray(part)) || seen.has(part)) continue;
      seen.add(part);
      pending.push({ place: [...place, nameOf(key)], value: part });
    }
  }
  const inOrder = found.sort((a, b) => rank(a.place) - rank(b.place) || b.tensors.size - a.tensors.size);
  const object = unknown.sort((a, b) => rank(a.place) - rank(b.place))[0];
  const dictionaries = inOrder
    .slice(0, MAX_DICTIONARIES)
    .map(({ place, tensors }) => ({ place: place.join("."), tensors }));
  const isHidden = object && rank(object.place) < rank(inOrder[0]?.place ?? ["?"]);
  if (dictionaries.length > 0) return { dictionaries, ...(isHidden && { object: object.value as string }) };
  if (object) throw damaged(path, anObject(object.value as string));
  const keys = top instanceof Map ? [...top.keys()].slice(0, 5).map((key) => `"${nameOf(key)}"`) : [];
  const only = keys.length > 0 ? `, only a dictionary of ${keys.join(", ")}${keys.length === 5 ? ", …" : ""}` : "";
  throw damaged(path, `it has no state dict (tensors by name)${only}: save the state_dict() alone`);
}

/**
 * Opens the tensors of all dictionaries. Damaged ones are left out, except for the likeliest to be weights.
 * @throws what `open` does
 */
export function openDictionaries<T>(
  { dictionaries, object }: Found<T>,
  open: (name: string, part: T) => ForeignTensor,
) {
  const opened = dictionaries.flatMap(({ place, tensors }, i): Dictionary<ForeignTensor>[] => {
    try {
      return [{ place, tensors: new Map([...tensors].map(([name, part]) => [name, open(name, part)])) }];
    } catch (error) {
      if (i === 0 || !(error instanceof CheckpointError)) throw error;
      return [];
    }
  });
  return { dictionaries: opened, ...(object !== undefined && { object }) };
}

/** The message for a file that has an object where its weights should be. */
export function anObject(name: string): string {
  return `it contains ${brief(name)}, which is not a tensor; none of its code was run: save the state_dict() alone`;
}

/** The lower, the likelier to be weights. */
function rank(place: readonly string[]): number {
  const usual = USUAL.indexOf(place.at(-1) ?? "");
  const common = place.length === 0 ? 0 : usual < 0 ? USUAL.length + 1 : 1 + usual;
  return common + (place.some((name) => AVERAGES.test(name)) ? 100 : 0);
}

/**
 * The tensors of one dictionary, by name. A layer's may be in a dictionary of their own, or in a list of weight and
 * bias. Numbers are names of layers only at the top: elsewhere they are an optimizer's, for its parameters.
 */
function tensorsOf<T>(
  path: string,
  dictionary: ReadonlyMap<unknown, unknown>,
  isTop: boolean,
  isTensor: (part: unknown) => part is T,
  few: Few<T>,
): ReadonlyMap<string, T> {
  const tensors = new Map<string, T>();
  const add = (name: string, part: unknown): void => {
    if (!isTensor(part)) return;
    if (tensors.size === MAX_TENSORS) throw damaged(path, `it has more than ${MAX_TENSORS} tensors`);
    tensors.set(name, part);
  };
  for (const [key, part] of dictionary) {
    if (typeof key !== "string" && !(isTop && typeof key === "number")) continue;
    const layer = String(key);
    add(layer, part);
    if (part instanceof Map) {
      for (const [name, each] of fewIn(part, isTensor, few)) add(`${layer}.${name}`, each);
    } else if (Array.isArray(part) && part.length === 2) {
      add(`${layer}.weight`, part[0]);
      add(`${layer}.bias`, part[1]);
    }
  }
  return tensors;
}

/** The tensors of dictionaries that may be a layer's. A large one may be in many others, and is gone through once. */
type Few<T> = Map<ReadonlyMap<unknown, unknown>, readonly (readonly [name: string, tensor: T])[]>;

/** The tensors of a dictionary that has no more than two. */
function fewIn<T>(
  dictionary: ReadonlyMap<unknown, unknown>,
  isTensor: (part: unknown) => part is T,
  few: Few<T>,
): readonly (readonly [name: string, tensor: T])[] {
  let found = few.get(dictionary);
  if (!found) {
    const tensors = [...dictionary].flatMap(([name, each]) => (isTensor(each) ? [[name, each] as const] : []));
    const isName = (pair: readonly [unknown, T]): pair is readonly [string, T] =>
      typeof pair[0] === "string" && !pair[0].includes(".");
    few.set(dictionary, (found = tensors.length > 2 ? [] : tensors.filter(isName)));
  }
  return found;
}

const nameOf = (key: unknown): string => brief(typeof key === "string" || typeof key === "number" ? String(key) : "?");
