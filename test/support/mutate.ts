/** Damage as it comes by chance or by intent: flipped bits, cuts, pieces moved about, fields of length that lie. */
import { Purpose, Random } from "../../src/random.ts";

/** How many mutations a fuzz test tries: `FUZZ` in the environment, else a few hundred. */
export const ROUNDS = Number(process.env["FUZZ"] ?? 300);

/** What hangs does not end at all; a machine that is busy with something else takes its time. */
export const TIMEOUT_MS = 60_000 + 200 * ROUNDS;

/** One to four pieces of damage, the same for the same number. */
export function mutate(bytes: Uint8Array, round: number): Uint8Array {
  const random = new Random(20121, Purpose.drawing, round);
  const below = (limit: number) => Math.floor(random.uniform() * limit);
  let damaged: Buffer = Buffer.from(bytes);
  for (let left = 1 + below(4); left > 0 && damaged.length > 0; left--) {
    const kind = KINDS[below(KINDS.length)]!;
    damaged = kind(damaged, below);
  }
  return damaged;
}

/** A whole number from 0 to `limit` - 1. */
type Below = (limit: number) => number;

const KINDS: readonly ((bytes: Buffer, below: Below) => Buffer)[] = [
  function flip(bytes, below) {
    bytes[below(bytes.length)]! ^= 1 << below(8);
    return bytes;
  },
  function overwrite(bytes, below) {
    bytes[below(bytes.length)] = [0, 0xff, 0x7f, 0x80, 0x20, 0x2e, 0x2f, 0x30, below(256)][below(9)]!;
    return bytes;
  },
  function truncate(bytes, below) {
    return bytes.subarray(0, below(bytes.length));
  },
  function splice(bytes, below) {
    const [from, to, length] = [below(bytes.length), below(bytes.length), below(Math.min(1024, bytes.length))];
    const piece = bytes.subarray(from, from + length);
    return Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(below(2) === 0 ? to : to + length)]);
  },
  function cutOut(bytes, below) {
    const at = below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + below(600))]);
  },
  /** Over a binary number of four bytes, of either order. */
  function binaryLength(bytes, below) {
    const value = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, bytes.length, bytes.length + 1][below(7)]!;
    const at = below(bytes.length + 1) & ~3;
    if (at + 4 > bytes.length) return bytes;
    if (below(2) === 0) bytes.writeUInt32LE(value, at);
    else bytes.writeUInt32BE(value, at);
    return bytes;
  },
  /** Over a number written in digits. */
  function writtenLength(bytes, below) {
    for (let at = below(bytes.length), tries = 0; tries < bytes.length; tries++, at = (at + 1) % bytes.length) {
      if (bytes[at]! < 0x30 || bytes[at]! > 0x39) continue;
      bytes.write(["7777", "-1", "9e99", "00", "999999999999"][below(5)]!, at, "latin1");
      return bytes;
    }
    return bytes;
  },
];
