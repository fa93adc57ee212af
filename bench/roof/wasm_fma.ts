/**
 * A WebAssembly module of multiplications and additions only, assembled byte by byte:
 *
 *   run(rounds: i32) → f32: `chains` vectors a of 4 numbers; in every round, UNROLL times, each a ← a · 0.5 + 1
 *
 * Starting at 0, every a converges to 2, so the returned sum of the chains' first numbers must be 2 · chains.
 */

const UNROLL = 4;

/** The flop of one round: multiplications and additions of vectors of 4. */
export function flopsPerRound(chains: number): number {
  return UNROLL * chains * 4 * 2;
}

/** @param chains independent sums, up to 14: a processor needs several to be fully used, and has 16 or 32 registers */
export function fmaModule(chains: number): Uint8Array<ArrayBuffer> {
  const [i32, f32, v128] = [0x7f, 0x7d, 0x7b];
  const [count, m, s] = [0, chains + 1, chains + 2];
  const get = (local: number) => [0x20, local];
  const set = (local: number) => [0x21, local];
  const splat = (value: number) => [0x43, ...new Uint8Array(Float32Array.of(value).buffer), 0xfd, 0x13];
  const multiply = [0xfd, 0xe6, 0x01];
  const add = [0xfd, 0xe4, 0x01];
  const [loop, branchIf, end] = [[0x03, 0x40], [0x0d, 0x00], [0x0b]];
  const decrement = [...get(count), 0x41, 0x01, 0x6b, 0x22, count];
  const firstLane = [0xfd, 0x1f, 0x00];

  const all = Array.from({ length: chains }, (_, chain) => chain + 1);
  const step = all.flatMap((a) => [...get(a), ...get(m), ...multiply, ...get(s), ...add, ...set(a)]);
  const body = [
    ...[1, chains + 2, v128], // one group of locals
    ...[...splat(0.5), ...set(m), ...splat(1), ...set(s)],
    ...[...loop, ...Array<number[]>(UNROLL).fill(step).flat(), ...decrement, ...branchIf, ...end],
    ...all.flatMap((a, i) => (i === 0 ? get(a) : [...get(a), ...add])),
    ...[...firstLane, ...end],
  ];
  const name = new TextEncoder().encode("run");
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, [1, 0x60, 1, i32, 1, f32]), // types: (i32) → f32
    ...section(3, [1, 0]), // functions: one, of type 0
    ...section(7, [1, name.length, ...name, 0x00, 0]), // exports: function 0
    ...section(10, [1, ...length(body.length), ...body]), // code
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...length(content.length), ...content];
}

/** LEB128 */
function length(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...length(n >>> 7)];
}
