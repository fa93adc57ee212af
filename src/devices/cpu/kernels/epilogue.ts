/** What a convolution does to a block of its result while it is in the cache; see src/engine/ops/later/epilogue.ts. */
import type { Addresses, Machine, Uniforms } from "../kernel.ts";

/** A block of a group's filters' results: rows `pitch` numbers apart. */
interface Block {
  readonly y: number;
  readonly pitch: number;
  readonly count: number;
  /** The first filter, and their number. */
  readonly first: number;
  readonly filters: number;
}

/**
 * y = f(s · product + b).
 * @param multiply computes the product into y, or adds it to what is there
 */
export function withEpilogue(
  { scaled, activation }: Uniforms,
  at: Addresses,
  { wasm, memory }: Machine,
  { y, pitch, count, first, filters }: Block,
  multiply: (add: boolean) => void,
): void {
  const numbers = (address: number) => new Float32Array(memory.buffer, address + first * 4, filters);
  const bias = numbers(at.b!);
  // Convolutions that are normalised afterwards have no biases.
  const biased = !scaled && bias.some((value) => value !== 0);
  if (biased) for (let i = 0; i < filters; i++) wasm.fillFloats(y + i * pitch * 4, bias[i]!, count);
  multiply(biased);
  if (!scaled && !activation) return;
  const scale = scaled ? numbers(at.s!) : undefined;
  for (let i = 0; i < filters; i++) {
    wasm.finishFloats(y + i * pitch * 4, count, scale ? scale[i]! : 1, scale ? bias[i]! : 0, activation!);
  }
}
