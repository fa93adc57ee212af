/** Copies between the host and a buffer, in the whole words that WebGPU asks for. */
import { ARRAYS, checkElements, ELEMENT_BYTES, type HostArray } from "../../engine/backend.ts";
import { DeviceError } from "../../errors.ts";
import { roundUp, type GpuBuffer } from "./buffers.ts";
import type { Handles } from "./handles.ts";

/**
 * What to copy to a buffer so that `data` is in it from element `offset` on.
 * @returns the first `bytes` bytes of `source` to byte `start`; a multiple of 4 each
 * @throws DeviceError when the data are of another type, or would not lie inside
 */
export function toWrite(
  buffer: GpuBuffer<Handles>,
  data: HostArray,
  offset: number,
): { start: number; source: HostArray; bytes: number } {
  const { type, length, bytes } = buffer;
  const [start, end] = [offset, offset + data.length].map((at) => at * ELEMENT_BYTES[type]) as [number, number];
  checkElements(buffer, data);
  if (end > length * ELEMENT_BYTES[type]) {
    throw new DeviceError(`write: elements ${offset} to ${offset + data.length} are outside of a buffer of ${length}`);
  }
  // The bytes after the end of a u8 or f16 buffer are padding.
  const whole = roundUp(end, 4);
  if (start % 4 !== 0 || (whole !== end && whole !== bytes)) {
    throw new DeviceError(`write: bytes ${start} to ${end} of ${bytes}: must be multiples of 4, or reach the end`);
  }
  let source: HostArray = data;
  if (whole !== end && data.length > 0) {
    source = new Uint8Array(whole - start);
    source.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return { start, source, bytes: data.length === 0 ? 0 : whole - start };
}

/**
 * What to copy from a buffer to read `length` elements from `offset` on.
 * @returns the range, whose numbers are multiples of 4, and a function from its contents to the elements
 * @throws DeviceError when they don't lie inside
 */
export function toRead(
  { type, length: all }: GpuBuffer<Handles>,
  offset: number,
  length: number,
): { start: number; bytes: number; elements: (copy: ArrayBuffer) => HostArray } {
  if (offset + length > all) {
    throw new DeviceError(`read: elements ${offset} to ${offset + length} are outside of a buffer of ${all}`);
  }
  const [from, end] = [offset, offset + length].map((at) => at * ELEMENT_BYTES[type]) as [number, number];
  const start = from - (from % 4);
  return {
    start,
    bytes: length === 0 ? 0 : roundUp(end, 4) - start,
    elements: (copy) => new ARRAYS[type](copy, from - start, length),
  };
}
