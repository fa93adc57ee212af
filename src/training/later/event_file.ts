/**
 * TensorBoard's event files: TFRecords of Event messages. A record is its length in 8 bytes, their CRC, the data, and
 * its CRC (tensorflow/core/lib/io/record_writer); the messages are protocol buffers, of which only a few fields are
 * needed (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).
 */

/** CRC-32C (Castagnoli): polynomial 0x1EDC6F41, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

/** Rotated and offset, since CRCs of data that contains CRCs are weak. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record of a TFRecord file. */
export function recordOf(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, masked(data), true);
  return record;
}

/** A field of a message, by its number. */
type Field =
  | readonly [field: number, kind: "double", value: number]
  | readonly [field: number, kind: "float", value: number]
  | readonly [field: number, kind: "integer", value: number]
  | readonly [field: number, kind: "bytes", value: Uint8Array];

const WIRE = { integer: 0, double: 1, bytes: 2, float: 5 } as const;

/** A protocol buffer. @param fields integers must be from 0 to 2⁵³ − 1 */
function message(...fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [field, kind, value] of fields) {
    parts.push(varint(field * 8 + WIRE[kind]));
    if (kind === "integer") parts.push(varint(value));
    else if (kind === "double") parts.push(new Uint8Array(Float64Array.of(value).buffer));
    else if (kind === "float") parts.push(new Uint8Array(Float32Array.of(value).buffer));
    else parts.push(varint(value.length), value);
  }
  return Buffer.concat(parts);
}

/** Seven bits a byte, lowest first; the eighth bit says that more follow. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...bytes, rest);
    bytes.push((rest % 128) + 128);
  }
}

const utf8 = (words: string) => new TextEncoder().encode(words);

/** The first record of a file. @param time in seconds since 1970 */
export function versionRecord(time: number): Uint8Array {
  return recordOf(message([1, "double", time], [3, "bytes", utf8("brain.Event:2")]));
}

/** Says that the program starts at this step, which voids what other files in the folder have from that step on. */
export function startRecord(time: number, step: number): Uint8Array {
  const SESSION_START = 1;
  return recordOf(
    message([1, "double", time], [2, "integer", step], [7, "bytes", message([1, "integer", SESSION_START])]),
  );
}

/** The scalars of a step, by name. */
export function scalarsRecord(time: number, step: number, scalars: Readonly<Record<string, number>>): Uint8Array {
  const values = Object.entries(scalars).map(
    ([name, value]) => [1, "bytes", message([1, "bytes", utf8(name)], [2, "float", value])] as const,
  );
  return recordOf(message([1, "double", time], [2, "integer", step], [5, "bytes", message(...values)]));
}
