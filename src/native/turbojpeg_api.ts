/** The libjpeg-turbo functions in use, native or WebAssembly. */

/** An address in the library's memory; 0 is null. */
export type Address = number;

/** TurboJPEG's API (turbojpeg.h, version 3) under its own names. */
export interface Turbojpeg {
  tj3Init(kind: number): Address;
  tj3Destroy(handle: Address): void;
  tj3Set(handle: Address, parameter: number, value: number): number;
  tj3Get(handle: Address, parameter: number): number;
  tj3DecompressHeader(handle: Address, file: Address, bytes: number): number;
  tj3Decompress8(handle: Address, file: Address, bytes: number, pixels: Address, pitch: number, format: number): number;
  tj3JPEGBufSize(width: number, height: number, subsampling: number): number;
  tj3GetErrorCode(handle: Address): number;
  tj3GetErrorStr(handle: Address): string;
  /** tj3Compress8 into `file`, which must be large enough. @returns the bytes written; undefined on failure */
  compress(
    handle: Address,
    pixels: Address,
    width: number,
    height: number,
    format: number,
    file: Uint8Array,
  ): number | undefined;
  /** Calls `use` with an address at which the library can read `bytes`. */
  read<T>(bytes: Uint8Array, use: (at: Address) => T): T;
  /** As `read`; `bytes` then holds what the library wrote. */
  update<T>(bytes: Uint8Array, use: (at: Address) => T): T;
}
