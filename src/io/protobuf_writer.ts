/** Writes protobuf's wire format. A message is a list of byte arrays, so that tensors are never copied. */

export type Message = readonly Uint8Array[];

export function message(...fields: readonly Message[]): Message {
  return fields.flat();
}

/** Wire type 2: length-delimited. */
export function field(id: number, contents: Uint8Array | Message): Message {
  const pieces = contents instanceof Uint8Array ? [contents] : contents;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return [varint(id * 8 + 2), varint(length), ...pieces];
}

/** Wire type 0: a non-negative integer. */
export function number(id: number, value: number): Message {
  return [varint(id * 8), varint(value)];
}

/** Wire type 5: a float32. */
export function float(id: number, value: number): Message {
  return [varint(id * 8 + 5), new Uint8Array(new Float32Array([value]).buffer)];
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return new Uint8Array(bytes);
}
