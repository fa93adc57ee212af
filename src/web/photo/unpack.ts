/** What is kept in the page's file: compressed bytes as base64, and among them a checkpoint. */
import type { Safetensors, TensorEntry } from "../../weights/safetensors.ts";

/** @param base64 of bytes compressed by gzip */
export async function unpack(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

interface Header {
  readonly __metadata__: Readonly<Record<string, string>>;
  readonly [tensor: string]: unknown;
}

interface Entry {
  readonly dtype: "F16" | "F32";
  readonly shape: readonly number[];
  readonly data_offsets: readonly [from: number, to: number];
}

/**
 * The tensors of a safetensors file that this program wrote. What is in the page is trusted like its script, so nothing
 * is checked as it is for files.
 */
export function tensorsIn(file: Uint8Array<ArrayBuffer>): Safetensors {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const start = 8 + length;
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start))) as Header;
  const { __metadata__: metadata, ...entries } = header;
  const tensors = new Map<string, TensorEntry>();
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets: [from, to] } = entry as Entry; // prettier-ignore
    const read = () => {
      const bytes = file.buffer.slice(start + from, start + to);
      return dtype === "F32" ? new Float32Array(bytes) : fromHalf(new Uint16Array(bytes));
    };
    tensors.set(name, { shape, read });
  }
  const close = () => {};
  return { metadata, tensors, close, [Symbol.dispose]: close };
}

let table: Float32Array | undefined;

/** IEEE 754 half precision as float32: not all browsers have Float16Array yet. */
export function fromHalf(halves: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 65_536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
  return Float32Array.from(halves, (bits) => table![bits]!);
}
