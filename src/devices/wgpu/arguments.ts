/**
 * Memory for the arguments of one call into C: structs, and the strings and arrays they point to. It is a single block
 * that is never moved or collected, so no pointer in a struct can outlive its target.
 */
import { ptr } from "bun:ffi";
import { DeviceError } from "../../errors.ts";

/** An address in the block, as C sees it. */
export type Address = number;

const CAPACITY = 1 << 20;
const memory = new ArrayBuffer(CAPACITY);
const bytes = new Uint8Array(memory);
const view = new DataView(memory);
const base: Address = ptr(memory);
let used = 0;

/** Starts the arguments of a new call, discarding the last one's. */
export function begin(): void {
  used = 0;
}

/** Allocates zeroed space for a struct or array, aligned to 8 bytes. */
export function room(size: number): Address {
  const at = used;
  used += (size + 7) & ~7;
  if (used > CAPACITY) throw new DeviceError(`wgpu: a call's arguments exceed ${CAPACITY} bytes`);
  bytes.fill(0, at, used);
  return base + at;
}

export function setU32(at: Address, value: number): void {
  view.setUint32(at - base, value, true);
}

/** Also for pointers and size_t; exact below 2⁵³. */
export function setU64(at: Address, value: number): void {
  view.setUint32(at - base, value % 2 ** 32, true);
  view.setUint32(at - base + 4, Math.floor(value / 2 ** 32), true);
}

/** typedef struct WGPUStringView { char const *data; size_t length; }  // 16 bytes */
export function setText(at: Address, text: string): void {
  const encoded = new TextEncoder().encode(text);
  const data = room(encoded.length);
  bytes.set(encoded, data - base);
  setU64(at, data);
  setU64(at + 8, encoded.length);
}

/** A WGPUStringView that means "none": NULL, SIZE_MAX. */
export function setNoText(at: Address): void {
  setU64(at, 0);
  view.setBigUint64(at - base + 8, 2n ** 64n - 1n, true);
}

export function getU32(at: Address): number {
  return view.getUint32(at - base, true);
}

/** Values of 2⁵³ and more (limits that mean "no limit") lose their last bits. */
export function getU64(at: Address): number {
  return getU32(at) + getU32(at + 4) * 2 ** 32;
}
