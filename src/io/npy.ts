/** NumPy's .npy format, version 1.0 (numpy.lib.format, NEP 1), for float32 arrays in C order. */
import { DataError } from "../errors.ts";

const MAGIC = "\x93NUMPY\x01\x00";

/** @param shape of `values` */
export function toNpy(values: Float32Array, shape: readonly number[]): Uint8Array {
  return Buffer.concat([npyHeader(shape), new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
}

/**
 * The bytes before the numbers.
 * @param room the largest shape it may be rewritten with later, without changing its length
 */
export function npyHeader(shape: readonly number[], room: readonly number[] = shape): Uint8Array {
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  // Magic, length and dictionary are padded to a multiple of 64 bytes and end with a newline.
  const more = Math.max(0, room.join().length - shape.join().length);
  const length = Math.ceil((10 + dictionary.length + more + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10 + length, " ");
  header.write(MAGIC, 0, "latin1");
  header.writeUInt16LE(length, 8);
  header.write(dictionary, 10, "latin1");
  header.write("\n", header.length - 1, "latin1");
  return header;
}

/** Reads an array that `toNpy` wrote. @throws DataError when it isn't one, or has another shape */
export function fromNpy(bytes: Uint8Array, shape: readonly number[], name: string): Float32Array {
  const size = shape.reduce((product, n) => product * n, 1);
  const expected = Buffer.from(toNpy(new Float32Array(0), shape));
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, expected.length));
  if (!header.equals(expected))
    throw new DataError(`${name} is not a float32 array of ${shape.join(" × ")}: pack again`);
  if (bytes.length !== expected.length + 4 * size) {
    throw new DataError(`${name} has ${bytes.length} bytes instead of ${expected.length + 4 * size}: pack again`);
  }
  // Copy: Buffer's slice() would not.
  return new Float32Array(new Uint8Array(bytes.subarray(expected.length)).buffer);
}
