/**
 * Reads Python's pickle format, protocols 0 to 5 (CPython's Lib/pickletools.py), without running any Python. A pickle
 * is a program for a stack machine, and may call any Python function by name. The caller's vocabulary defines what the
 * names in it do. Calling any other name does nothing but yield an `Unknown`, which matters only if it is where weights
 * should be.
 *
 * Tuples and lists become arrays, dictionaries become Maps. Every opcode takes at least a byte and makes at most one
 * value, and the lists that functions are given are counted, so that the number of opcodes bounds the memory; long byte
 * strings are views of the file.
 */
import { latin1, viewOf } from "../../io/bytes.ts";
import { brief } from "../../io/foreign.ts";
import { CONSTANTS, STEPS, type Step } from "./opcodes.ts";

/** A Python name that a pickle may use. */
export interface Global {
  /** The result of calling it; absent if it may only be named. May throw anything. */
  readonly call?: (args: readonly unknown[]) => unknown;
  /** What it stands for, for the vocabulary's own use (`globalValue`). */
  readonly value?: unknown;
}

export interface Vocabulary {
  /** By "module.name". */
  readonly globals: ReadonlyMap<string, Global>;
  /** What is stored outside the pickle, by its ID. */
  persistent?(id: unknown): unknown;
}

/**
 * An instance of a class, or the result of a function, that is not in the vocabulary: the name, and whatever is stored
 * in it as in a dictionary.
 */
export class Unknown extends Map<unknown, unknown> {
  readonly name: string;
  constructor(name: string) {
    super();
    this.name = name;
  }
}

/** An object whose state a pickle may set. On a Map, setting the state does nothing. */
export interface Stateful {
  setState(state: unknown): void;
}

/** What is wrong with a pickle; the message does not name the file. */
export class PickleError extends Error {}

const MAX_OPCODES = 2_000_000;
/** Names are far shorter; longer texts are data, and stay bytes. */
const MAX_TEXT = 2 ** 20;
/** A random generator's state may have 256 bits; converting long integers would take quadratic time. */
const MAX_INTEGER_BYTES = 64;
const MAX_DIGITS = 40;

const MARK = Symbol("mark");

/**
 * Reads one pickle that begins at `from`.
 * @returns its value, and the position after its end
 * @throws PickleError, or what the vocabulary throws
 */
export function unpickle(bytes: Uint8Array, from: number, vocabulary: Vocabulary): { value: unknown; end: number } {
  const machine = new Machine(bytes, from, vocabulary);
  return { value: machine.run(), end: machine.at };
}

class Machine {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #vocabulary: Vocabulary;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  /** Number of arguments that functions were given, and of items in them: a list may be given again and again. */
  #given = 0;

  constructor(bytes: Uint8Array, from: number, vocabulary: Vocabulary) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#vocabulary = vocabulary;
    this.at = from;
  }

  run(): unknown {
    for (let count = 0; count < MAX_OPCODES; count++) {
      const place = this.at;
      const opcode = String.fromCharCode(this.#unsigned(1));
      if (opcode === ".") return this.#pop();
      const step = STEPS.get(opcode);
      if (!step) {
        const name = opcode >= "!" && opcode <= "~" ? `"${opcode}"` : `0x${opcode.charCodeAt(0).toString(16)}`;
        throw new PickleError(`its pickle has opcode ${name} at byte ${place}, which weights don't need`);
      }
      this.#step(step);
    }
    throw new PickleError(`its pickle has more than ${MAX_OPCODES} steps, which weights don't need`);
  }

  #step([kind, parameter]: Step): void {
    const stack = this.#stack;
    switch (kind) {
      case "skip":
        this.#take(parameter);
        return;
      case "push":
        stack.push(CONSTANTS[parameter]!());
        return;
      case "mark":
        stack.push(MARK);
        return;
      case "pop":
        this.#pop();
        return;
      case "pop mark":
        this.#toMark();
        return;
      case "duplicate":
        stack.push(this.#top());
        return;
      case "unsigned":
        stack.push(this.#unsigned(parameter));
        return;
      case "int32":
        stack.push(this.#view.getInt32(this.#reserve(4), true));
        return;
      case "double":
        stack.push(this.#view.getFloat64(this.#reserve(8), false));
        return;
      case "long":
        stack.push(this.#long(this.#unsigned(parameter)));
        return;
      case "digits":
        stack.push(this.#digits());
        return;
      case "text": {
        const length = this.#unsigned(parameter);
        const left = this.#bytes.length - this.at;
        if (length > left) throw new PickleError(`its pickle has a text of ${length} bytes, but only ${left} are left`);
        const text = this.#take(length);
        stack.push(length > MAX_TEXT ? text : new TextDecoder().decode(text));
        return;
      }
      case "line":
        stack.push(this.#line(MAX_TEXT));
        return;
      case "bytes":
        stack.push(this.#take(this.#unsigned(parameter)));
        return;
      case "old string": {
        // Python 2 has one type for names and for raw bytes.
        const string = this.#take(this.#unsigned(parameter));
        stack.push(string.length > 1000 ? string : latin1(string));
        return;
      }
      case "tuple": {
        const items = stack.length >= parameter ? stack.splice(stack.length - parameter) : [MARK];
        if (items.includes(MARK)) throw new PickleError("its pickle takes more from the stack than it has");
        stack.push(items);
        return;
      }
      case "list from mark":
        stack.push(this.#toMark());
        return;
      case "append":
        this.#append([this.#pop()]);
        return;
      case "append many":
        this.#append(this.#toMark());
        return;
      case "dictionary from mark": {
        const items = this.#toMark();
        stack.push(new Map());
        this.#setItems(items);
        return;
      }
      case "set item": {
        const value = this.#pop();
        this.#setItems([this.#pop(), value]);
        return;
      }
      case "set items":
        this.#setItems(this.#toMark());
        return;
      case "put":
        this.#memo.set(parameter === 0 ? Number(this.#digits()) : this.#unsigned(parameter), this.#top());
        return;
      case "memoize":
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case "get": {
        const index = parameter === 0 ? Number(this.#digits()) : this.#unsigned(parameter);
        if (!this.#memo.has(index)) throw new PickleError(`its pickle uses value ${index}, which it has not stored`);
        stack.push(this.#memo.get(index));
        return;
      }
      case "global": {
        const module = this.#line(MAX_TEXT);
        stack.push(this.#global(module, this.#line(MAX_TEXT)));
        return;
      }
      case "global from stack": {
        const name = this.#pop();
        stack.push(this.#global(this.#pop(), name));
        return;
      }
      case "call":
        this.#call();
        return;
      case "call with keywords":
        this.#pop();
        this.#call();
        return;
      case "build":
        this.#build();
        return;
      case "persistent": {
        if (!this.#vocabulary.persistent) throw new PickleError("its pickle refers to something outside it");
        stack.push(this.#vocabulary.persistent(this.#pop()));
        return;
      }
    }
  }

  #global(module: unknown, name: unknown): NamedGlobal | Unknown {
    const full =
      typeof module === "string" && typeof name === "string" ? `${module}.${name}` : "a name that is not a text";
    const known = this.#vocabulary.globals.get(full);
    return known ? new NamedGlobal(full, known) : new Unknown(full);
  }

  #call(): void {
    const args = this.#pop();
    const callee = this.#pop();
    if (callee instanceof Unknown) {
      this.#stack.push(new Unknown(callee.name));
      return;
    }
    if (!(callee instanceof NamedGlobal) || !callee.global.call || !Array.isArray(args)) {
      const what = callee instanceof NamedGlobal ? callee.name : "something that is not a function";
      throw new PickleError(`its pickle calls ${what}; none of its code was run`);
    }
    this.#give(args.length);
    for (const arg of args as unknown[]) if (Array.isArray(arg)) this.#give(arg.length);
    this.#stack.push(callee.global.call(args));
  }

  #give(items: number): void {
    this.#given += items;
    if (this.#given <= MAX_OPCODES) return;
    throw new PickleError(`its pickle gives functions more than ${MAX_OPCODES} items, which weights don't need`);
  }

  #build(): void {
    const state = this.#pop();
    const object = this.#top();
    if (isStateful(object)) object.setState(state);
    else if (!(object instanceof Map)) throw new PickleError("its pickle sets the state of something that has none");
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (list instanceof Unknown) return;
    if (!Array.isArray(list)) throw new PickleError("its pickle appends to something that is not a list");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const dictionary = this.#top();
    if (!(dictionary instanceof Map) || items.length % 2 !== 0) {
      throw new PickleError("its pickle sets items of something that is not a dictionary");
    }
    for (let i = 0; i < items.length; i += 2) dictionary.set(items[i], items[i + 1]);
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #top(): unknown {
    const value = this.#stack.at(-1);
    if (this.#stack.length === 0 || value === MARK) throw new PickleError("its pickle takes from an empty stack");
    return value;
  }

  #toMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw new PickleError("its pickle returns to a mark that it has not set");
    return this.#stack.splice(mark).slice(1);
  }

  #reserve(length: number): number {
    const at = this.at;
    if (!(length <= this.#bytes.length - at)) {
      throw new PickleError(
        `its pickle is cut short: it needs ${length} bytes at byte ${at}, and has ${this.#bytes.length} in all`,
      );
    }
    this.at += length;
    return at;
  }

  #take(length: number): Uint8Array {
    const at = this.#reserve(length);
    return this.#bytes.subarray(at, at + length);
  }

  #unsigned(size: number): number {
    const at = this.#reserve(size);
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at, true);
    return size === 4 ? this.#view.getUint32(at, true) : Number(this.#view.getBigUint64(at, true));
  }

  /** Two's complement of any length, little-endian. */
  #long(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES)
      throw new PickleError(`its pickle has an integer of ${length} bytes, more than ${MAX_INTEGER_BYTES}`);
    const bytes = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return plainNumber(BigInt.asIntN(8 * length, value));
  }

  /** A number in digits, perhaps followed by L; "00" and "01" are booleans. */
  #digits(): number | bigint | boolean {
    const text = this.#line(MAX_DIGITS);
    if (text === "00" || text === "01") return text === "01";
    if (/^-?\d+L?$/.test(text)) return plainNumber(BigInt(text.replace("L", "")));
    const value = Number(text);
    if (text === "" || Number.isNaN(value))
      throw new PickleError(`its pickle has "${brief(text)}" where a number should be`);
    return value;
  }

  #line(limit: number): string {
    const end = this.#bytes.subarray(0, this.at + limit + 1).indexOf(0x0a, this.at);
    if (end < 0) throw new PickleError(`its pickle has a line of more than ${limit} bytes, or one without an end`);
    const line = this.#take(end - this.at);
    this.at++;
    return new TextDecoder().decode(line).replace(/\r$/, "");
  }
}

class NamedGlobal {
  readonly name: string;
  readonly global: Global;
  constructor(name: string, global: Global) {
    this.name = name;
    this.global = global;
  }
}

/** What a name stands for in the vocabulary; undefined if `value` is not a name. */
export function globalValue(value: unknown): unknown {
  return value instanceof NamedGlobal ? value.global.value : undefined;
}

function isStateful(object: unknown): object is Stateful {
  return typeof (object as Partial<Stateful> | null)?.setState === "function";
}

function plainNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
