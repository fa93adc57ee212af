/**
 * Numbers stored in half precision, as in Micikevicius et al. 2018 (arXiv 1710.03740): they take half the memory and
 * half the time on their way. A buffer of type f16 may stand where a kernel declares f32; its numbers are computed with
 * in single precision, and rounded where they are stored. An op's results are stored as its first input is, so that
 * the network's input decides how all activations and their gradients are stored. Weights and their gradients, statistics
 * of batches, probabilities, losses and partial sums stay in f32.
 *
 * The WGSL must index such a buffer directly, and assign whole elements in statements of their own: not to one of four
 * numbers, by a pointer or in the head of a loop. Anything else doesn't compile.
 */
import { UsageError } from "../../errors.ts";
import type { Buffer, BufferView } from "../backend.ts";
import { access, elementType, wgslOf, type BufferSpec, type Kernel, type Variant } from "../kernel.ts";

/** The largest number in half precision. Beyond it, WGSL leaves open what a conversion gives. */
const MOST = 65504;

/** A WGSL type, the type of its bits, and what it is stored as. */
const TYPES = {
  f32: { bits: "u32", half: "f16" },
  vec4f: { bits: "vec4u", half: "vec4h" },
} as const;
type Type = keyof typeof TYPES;

const known = new WeakMap<Kernel, Map<string, Kernel>>();

/**
 * A kernel as it runs on these buffers: the kernel itself, or if some that it declares as f32 are stored in half
 * precision, one that reads and writes them as such, with variants as it has.
 */
export function asStored<B extends string>(
  kernel: Kernel<B>,
  buffers: Readonly<Partial<Record<B, Buffer | BufferView>>>,
): Kernel {
  let halves = "";
  for (const name in kernel.buffers) {
    const given = buffers[name] as Buffer | BufferView | undefined;
    const isHalf = given !== undefined && ("buffer" in given ? given.buffer : given).type === "f16";
    if (isHalf && elementType(kernel.buffers[name]) !== "f16") halves += halves === "" ? name : `,${name}`;
  }
  return halves === "" ? (kernel as unknown as Kernel) : madeFor(kernel as unknown as Kernel, halves);
}

/** A kernel whose buffers of these names are stored in half precision. */
export function inHalf(kernel: Kernel, buffers: readonly string[]): Kernel {
  return madeFor(kernel, buffers.join());
}

/** As `inHalf`. A kernel that is queued again and again is only looked up, so its buffers' names stay one string. */
function madeFor(kernel: Kernel, halves: string): Kernel {
  const own = known.get(kernel) ?? new Map<string, Kernel>();
  known.set(kernel, own);
  let made = own.get(halves);
  if (!made) own.set(halves, (made = make(kernel, halves.split(","))));
  return made;
}

function make(kernel: Kernel, halves: readonly string[]): Kernel {
  const bindings = Object.keys(kernel.buffers).flatMap((name, i) => (halves.includes(name) ? [i + 1] : []));
  const form = (variant: Variant) => ({
    ...variant,
    name: `${variant.name}_f16_${halves.join("_")}`,
    wgsl: rewrite(variant.name, wgslOf(variant), bindings),
    constants: {},
  });
  const specs = Object.entries(kernel.buffers).map(([name, spec]) => {
    if (!halves.includes(name)) return [name, spec];
    if (elementType(spec) !== "f32") throw new UsageError(`kernel ${kernel.name}: buffer ${name} is ${spec}, not f32`);
    return [name, `${access(spec)} f16` satisfies BufferSpec];
  });
  return {
    ...kernel,
    ...form(kernel),
    buffers: Object.fromEntries(specs) as Kernel["buffers"],
    ...(kernel.variants && { variants: kernel.variants.map(form) }),
  };
}

/**
 * WGSL with the arrays at these bindings in half precision: where one is indexed, the number is converted, to single
 * precision if it is read, to half if it is assigned.
 * @throws UsageError when a binding is not an array of f32, vec4f, or an alias of these
 */
function rewrite(kernel: string, wgsl: string, bindings: readonly number[]): string {
  const types = new Map<string, Type>();
  const used = new Set<Type>();
  let text = wgsl.replaceAll(/\/\/.*/g, "");
  for (const binding of bindings) {
    const declaration = new RegExp(`(@binding\\(${binding}\\) var<storage, \\w+> )(\\w+): array<(\\w+)>;`);
    const [, , name = "", declared = ""] = declaration.exec(text) ?? [];
    const type = new RegExp(`\\balias ${declared} = (\\w+);`).exec(text)?.[1] ?? declared;
    if (!Object.hasOwn(TYPES, type)) {
      throw new UsageError(
        `kernel ${kernel}: binding ${binding} can't be stored in half precision: array<${declared}>`,
      );
    }
    types.set(name, type as Type);
    used.add(type as Type);
    text = text.replace(declaration, `$1$2: array<${TYPES[type as Type].half}>;`);
  }
  return ["enable f16;", convert(text, types), ...[...used].map(conversion)].join("\n");
}

/** The conversion of a number, or four, for storing; NaN stays NaN, and infinity becomes the largest number. */
function conversion(type: Type): string {
  const { bits, half } = TYPES[type];
  return `
fn half_${type}(value: ${type}) -> ${half} {
  let is_nan = (bitcast<${bits}>(value) & ${bits}(0x7fffffffu)) > ${bits}(0x7f800000u);
  return ${half}(select(clamp(value, ${type}(-${MOST}.0), ${type}(${MOST}.0)), value, is_nan));
}`;
}

/** Puts conversions around everything that is indexed by one of these names. */
function convert(text: string, types: ReadonlyMap<string, Type>): string {
  let [result, at] = ["", 0];
  const indexed = new RegExp(`(?<![.\\w])(${[...types.keys()].join("|")})\\[`, "g");
  for (let found = indexed.exec(text); found; found = indexed.exec(text)) {
    const [whole, name = ""] = found;
    const type = types.get(name)!;
    const end = closing(text, found.index + whole.length);
    const place = `${whole}${convert(text.slice(found.index + whole.length, end), types)}]`;
    result += text.slice(at, found.index);
    const assignment = /^\s*([-+*/]?)=(?!=)\s*/.exec(text.slice(end + 1));
    if (assignment) {
      const start = end + 1 + assignment[0].length;
      const stop = text.indexOf(";", start);
      const value = convert(text.slice(start, stop), types);
      const operator = assignment[1]!;
      result += `${place} = half_${type}(${operator ? `${type}(${place}) ${operator} (${value})` : value})`;
      at = stop;
    } else {
      result += `${type}(${place})`;
      at = end + 1;
    }
    indexed.lastIndex = at;
  }
  return result + text.slice(at);
}

/** Where the bracket ends that was opened before `start`. */
function closing(text: string, start: number): number {
  let [depth, at] = [1, start];
  for (; depth > 0 && at < text.length; at++) depth += text[at] === "[" ? 1 : text[at] === "]" ? -1 : 0;
  return at - 1;
}
