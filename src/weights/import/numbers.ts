/** Numbers as stored in files, converted to float32. */
import { size } from "../../engine/tensor.ts";

export type NumberType = "f16" | "bf16" | "f32" | "f64" | "u8" | "i8" | "i16" | "i32" | "i64";

export const BYTES: Readonly<Record<NumberType, number>> = {
  ...{ f16: 2, bf16: 2, f32: 4, f64: 8 },
  ...{ u8: 1, i8: 1, i16: 2, i32: 4, i64: 8 },
};

/** @param bytes of whole numbers of this type; not changed */
export function toFloat32(bytes: Uint8Array, type: NumberType, littleEndian = true): Float32Array {
  const width = BYTES[type];
  // A copy, since what was read may not be aligned.
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  if (!littleEndian && width === 2) copy.swap16();
  if (!littleEndian && width === 4) copy.swap32();
  if (!littleEndian && width === 8) copy.swap64();
  const { buffer } = copy;
  switch (type) {
    case "f32":
      return new Float32Array(buffer);
    case "f64":
      return Float32Array.from(new Float64Array(buffer));
    case "f16":
      return new Float32Array(new Float16Array(buffer));
    case "bf16": {
      // The upper half of a float32.
      const words = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      return new Float32Array(words.buffer);
    }
    case "u8":
      return Float32Array.from(new Uint8Array(buffer));
    case "i8":
      return Float32Array.from(new Int8Array(buffer));
    case "i16":
      return Float32Array.from(new Int16Array(buffer));
    case "i32":
      return Float32Array.from(new Int32Array(buffer));
    case "i64": {
      const whole = new BigInt64Array(buffer);
      return Float32Array.from({ length: whole.length }, (_, i) => Number(whole[i]));
    }
  }
}

/** The elements of a strided view, in row-major order. */
export function gather(values: Float32Array, shape: readonly number[], strides: readonly number[]): Float32Array {
  const result = new Float32Array(size(shape));
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < result.length; i++) {
    result[i] = values[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
export const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);
