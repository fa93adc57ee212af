/** libjpeg-turbo as it is used here, whether it is a native library or WebAssembly. */

/** In the library's memory; 0 is none. */
export type Address = number;

/** What is used of TurboJPEG's API (turbojpeg.h, version 3), under its names. */
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
  /** tj3Compress8 into `file`, which has room enough. @returns how many bytes it took; undefined when it failed */
  compress(
    handle: Address,
    pixels: Address,
    width: number,
    height: number,
    format: number,
    file: Uint8Array,
  ): number | undefined;
  /** Calls `use` with the address at which the library finds `bytes`. */
  read<T>(bytes: Uint8Array, use: (at: Address) => T): T;
  /** The same; what the library writes there is in `bytes` afterwards. */
  update<T>(bytes: Uint8Array, use: (at: Address) => T): T;
}
