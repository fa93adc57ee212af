/**
 * Reads protobuf's wire format (protobuf.dev/programming-guides/encoding) as numbered fields. Every length is checked
 * against the enclosing message; nested messages are parsed only on request.
 */

export interface Field {
  readonly id: number;
  /** 0: varint; 1: 8 bytes; 2: length-delimited; 5: 4 bytes. */
  readonly wire: number;
  /** For wire type 0; rounded beyond 53 bits. */
  readonly value: number;
  /** For the other wire types. */
  readonly bytes: Uint8Array;
}

/** What is wrong with a message, without naming the file. */
export class WireError extends Error {}

const NONE = new Uint8Array(0);

/** The fields of a message, in order. @throws WireError when it is malformed */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) throw new WireError("a message ends in the middle of a number");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new WireError("a number of more than ten bytes");
  };
  while (at < message.length) {
    const key = varint();
    const [id, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) {
      yield { id, wire, value: varint(), bytes: NONE };
      continue;
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : undefined;
    if (length === undefined || id === 0) throw new WireError(`field ${id} has the invalid wire type ${wire}`);
    if (!(length <= message.length - at)) {
      throw new WireError(`field ${id} has ${length} bytes, but its message has ${message.length - at} left`);
    }
    yield { id, wire, value: 0, bytes: message.subarray(at, at + length) };
    at += length;
  }
}

/** Repeated integers, one per field or packed. */
export function numbersOf({ wire, value, bytes }: Field): number[] {
  if (wire === 0) return [value];
  const numbers: number[] = [];
  // A packed list is varints without keys.
  for (let at = 0; at < bytes.length;) {
    let [number, shift] = [0, 1];
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 2 ** 63) throw new WireError("a list of numbers ends in the middle of one");
      number += (byte & 127) * shift;
      shift *= 128;
      if (byte < 128) break;
    }
    numbers.push(number);
  }
  return numbers;
}

export const textOf = ({ bytes }: Field): string => new TextDecoder().decode(bytes);

/** A float32. @throws WireError */
export function floatOf({ wire, bytes }: Field): number {
  if (wire !== 5) throw new WireError(`a number of wire type ${wire} instead of 5`);
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
}
