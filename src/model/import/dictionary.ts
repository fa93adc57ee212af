/** Finds the tensors in what a pickle holds: dictionaries by layers, by parameters, or with both in others. */
import { brief, damaged } from "./source.ts";

/** Where programs put the weights beside other things. */
const NESTS = ["state_dict", "model_state_dict", "model", "net", "network", "params", "weights"];
const MAX_DEPTH = 4;
const MAX_TENSORS = 10_000;

/**
 * The tensors of a dictionary by names with dots. A list of two under a layer's name is its weight and its bias.
 * @throws CheckpointError when there is none, or more than any network has
 */
export function named<T>(path: string, value: unknown, isTensor: (part: unknown) => part is T): ReadonlyMap<string, T> {
  let top = value;
  for (let depth = 0; depth < MAX_DEPTH && top instanceof Map; depth++) {
    const within: Map<unknown, unknown> = top;
    const nest = NESTS.find((name) => within.get(name) instanceof Map);
    if (nest === undefined || [...within.values()].some(isTensor)) break;
    top = within.get(nest);
  }
  const found = new Map<string, T>();
  const add = (name: string, part: unknown): void => {
    if (!isTensor(part)) return;
    if (found.size === MAX_TENSORS) throw damaged(path, `it has more than ${MAX_TENSORS} tensors`);
    found.set(name, part);
  };
  for (const [key, part] of top instanceof Map ? top : []) {
    const layer = String(typeof key === "string" || typeof key === "number" ? key : "?");
    add(layer, part);
    if (part instanceof Map) {
      for (const [name, each] of part) if (typeof name === "string") add(`${layer}.${name}`, each);
    } else if (Array.isArray(part) && part.length === 2) {
      add(`${layer}.weight`, part[0]);
      add(`${layer}.bias`, part[1]);
    }
  }
  if (found.size > 0) return found;
  const keys = top instanceof Map ? [...top.keys()].slice(0, 5).map((key) => `"${brief(String(key))}"`) : [];
  const has = keys.length > 0 ? `a dictionary of ${keys.join(", ")}${keys.length === 5 ? ", …" : ""}` : "none";
  throw damaged(path, `there is no state dict in it, tensors by name, but ${has}: save the state_dict() alone`);
}
