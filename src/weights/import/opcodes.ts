/** The opcodes in pickles of torch.save and np.save (CPython's Lib/pickletools.py); pickle.ts executes them. */

/** The constants that "push" pushes, by its parameter. */
export const CONSTANTS: readonly (() => unknown)[] = [() => null, () => true, () => false, () => [], () => new Map()];

/** What an opcode does, and its parameter: a number of bytes or items, or which constant. */
export type Step = readonly [kind: StepKind, parameter: number];
type StepKind =
  | ("skip" | "push" | "mark" | "pop" | "pop mark" | "duplicate" | "unsigned" | "int32" | "double" | "long" | "digits")
  | ("text" | "line" | "bytes" | "old string" | "tuple" | "list from mark" | "append" | "append many")
  | ("dictionary from mark" | "set item" | "set items" | "put" | "memoize" | "get" | "global" | "global from stack")
  | ("call" | "call with keywords" | "build" | "persistent");

export const STEPS: ReadonlyMap<string, Step> = new Map<string, Step>([
  // The protocol's version, and a frame's length.
  ["\x80", ["skip", 1]],
  ["\x95", ["skip", 8]],
  ["N", ["push", 0]],
  ["\x88", ["push", 1]],
  ["\x89", ["push", 2]],
  ["]", ["push", 3]],
  ["}", ["push", 4]],
  ["(", ["mark", 0]],
  ["0", ["pop", 0]],
  ["1", ["pop mark", 0]],
  ["2", ["duplicate", 0]],
  ["K", ["unsigned", 1]],
  ["M", ["unsigned", 2]],
  ["J", ["int32", 4]],
  ["G", ["double", 8]],
  ["\x8a", ["long", 1]],
  ["\x8b", ["long", 4]],
  ["I", ["digits", 0]],
  ["L", ["digits", 0]],
  ["F", ["digits", 0]],
  ["\x8c", ["text", 1]],
  ["X", ["text", 4]],
  ["\x8d", ["text", 8]],
  ["V", ["line", 0]],
  ["C", ["bytes", 1]],
  ["B", ["bytes", 4]],
  ["\x8e", ["bytes", 8]],
  ["\x96", ["bytes", 8]],
  ["U", ["old string", 1]],
  ["T", ["old string", 4]],
  [")", ["tuple", 0]],
  ["\x85", ["tuple", 1]],
  ["\x86", ["tuple", 2]],
  ["\x87", ["tuple", 3]],
  ["t", ["list from mark", 0]],
  ["l", ["list from mark", 0]],
  // Sets are read as lists.
  ["\x8f", ["push", 3]],
  ["\x91", ["list from mark", 0]],
  ["\x90", ["append many", 0]],
  ["a", ["append", 0]],
  ["e", ["append many", 0]],
  ["d", ["dictionary from mark", 0]],
  ["s", ["set item", 0]],
  ["u", ["set items", 0]],
  ["p", ["put", 0]],
  ["q", ["put", 1]],
  ["r", ["put", 4]],
  ["\x94", ["memoize", 0]],
  ["g", ["get", 0]],
  ["h", ["get", 1]],
  ["j", ["get", 4]],
  ["c", ["global", 0]],
  ["\x93", ["global from stack", 0]],
  ["R", ["call", 0]],
  ["\x81", ["call", 0]],
  ["\x92", ["call with keywords", 0]],
  ["b", ["build", 0]],
  ["Q", ["persistent", 0]],
]);
