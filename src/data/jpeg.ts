/** JPEG by libjpeg-turbo (TurboJPEG API, version 3), straight from and to memory that the caller owns. */
import { dlopen, FFIType, ptr, type Pointer } from "bun:ffi";
import { findTurbojpeg } from "../native/turbojpeg.ts";
import { BadImage } from "./image.ts";

const { i32, u64, cstring } = FFIType;
const pointer = FFIType.ptr;
const FUNCTIONS = {
  tj3Init: { args: [i32], returns: pointer },
  tj3Destroy: { args: [pointer], returns: FFIType.void },
  tj3Set: { args: [pointer, i32, i32], returns: i32 },
  tj3Get: { args: [pointer, i32], returns: i32 },
  tj3DecompressHeader: { args: [pointer, pointer, u64], returns: i32 },
  //                     handle, file, bytes, pixels, pitch, format
  tj3Decompress8: { args: [pointer, pointer, u64, pointer, i32, i32], returns: i32 },
  //                   handle, pixels, width, pitch, height, format, &file, &bytes
  tj3Compress8: { args: [pointer, pointer, i32, i32, i32, i32, pointer, pointer], returns: i32 },
  tj3JPEGBufSize: { args: [i32, i32, i32], returns: u64 },
  tj3GetErrorCode: { args: [pointer], returns: i32 },
  tj3GetErrorStr: { args: [pointer], returns: cstring },
} as const;

// turbojpeg.h of 3.1: enum TJINIT, TJPARAM, TJCS, TJPF, TJSAMP.
const COMPRESS = 0;
const DECOMPRESS = 1;
const PARAM = { stopOnWarning: 0, noRealloc: 2, quality: 3, subsampling: 4, width: 5, height: 6, colourSpace: 8, scanLimit: 13 } as const;
const RGB = 0;
const CMYK = 11;
const CMYK_SPACES = [3, 4];
const SUBSAMPLING_420 = 2;
/** TJERR. It also stands for a warning that was followed by a failure. */
const WARNING = 0;
/** A progressive file may have so many scans; more are made to keep decoders busy. */
const SCAN_LIMIT = 500;

export interface JpegCodec {
  /**
   * Decodes to width × height RGB pixels at `to(bytes)`, which is asked for the memory: 3 bytes a pixel, 4 while a CMYK
   * image is converted.
   * @returns what the library had to remark, where it could go on
   * @throws BadImage when it could not, or the size is another
   */
  decode(file: Uint8Array, width: number, height: number, to: (bytes: number) => Uint8Array): string | undefined;
  /** Encodes width × height RGB pixels with 4:2:0 subsampling. @param quality 1 to 100 */
  encode(pixels: Uint8Array, width: number, height: number, quality: number): Uint8Array;
}

/** Undefined where there is no TurboJPEG. @throws DeviceError when TURBOJPEG_LIB_PATH is wrong */
export function openJpeg(): JpegCodec | undefined {
  const library = findTurbojpeg();
  if (!library) return undefined;
  const { symbols: tj } = dlopen(library.path, FUNCTIONS);
  let encoder: Pointer | undefined;

  return {
    decode(file, width, height, to) {
      // A new decoder for each file (2 µs): one that has decoded another keeps that one's tables, and lends them to a file
      // whose own are damaged.
      const decoder = handle(tj.tj3Init(DECOMPRESS));
      const message = () => String(tj.tj3GetErrorStr(decoder));
      /** @returns the library's first warning; what it has done is whole all the same */
      const attempt = (call: () => number): string | undefined => {
        tj.tj3Set(decoder, PARAM.stopOnWarning, 1);
        if (call() === 0) return undefined;
        const warning = message();
        // After a premature end the rest of the picture would be grey.
        if (tj.tj3GetErrorCode(decoder) !== WARNING || /premature end/i.test(warning)) throw undecodable(warning);
        tj.tj3Set(decoder, PARAM.stopOnWarning, 0);
        call();
        // Of several warnings only the first becomes the message. If it is another one now, the call has failed.
        const last = message();
        if (last !== warning) throw undecodable(last);
        return warning;
      };
      try {
        tj.tj3Set(decoder, PARAM.scanLimit, SCAN_LIMIT);
        attempt(() => tj.tj3DecompressHeader(decoder, ptr(file), file.length));
        const found = [tj.tj3Get(decoder, PARAM.width), tj.tj3Get(decoder, PARAM.height)];
        if (found[0] !== width || found[1] !== height) {
          throw new BadImage(`it has two sizes, ${width} × ${height} and ${found.join(" × ")}`);
        }
        const cmyk = CMYK_SPACES.includes(tj.tj3Get(decoder, PARAM.colourSpace));
        const pixels = to(width * height * (cmyk ? 4 : 3));
        const format = cmyk ? CMYK : RGB;
        const remark = attempt(() => tj.tj3Decompress8(decoder, ptr(file), file.length, ptr(pixels), 0, format));
        if (cmyk) cmykToRgb(pixels);
        return remark;
      } finally {
        tj.tj3Destroy(decoder);
      }
    },
    encode(pixels, width, height, quality) {
      encoder ??= handle(tj.tj3Init(COMPRESS));
      tj.tj3Set(encoder, PARAM.noRealloc, 1);
      tj.tj3Set(encoder, PARAM.subsampling, SUBSAMPLING_420);
      tj.tj3Set(encoder, PARAM.quality, quality);
      const file = new Uint8Array(Number(tj.tj3JPEGBufSize(width, height, SUBSAMPLING_420)));
      const [address, size] = [BigUint64Array.of(BigInt(ptr(file))), BigUint64Array.of(BigInt(file.length))];
      if (tj.tj3Compress8(encoder, ptr(pixels), width, 0, height, RGB, ptr(address), ptr(size)) !== 0) {
        throw new Error(`libjpeg-turbo: ${tj.tj3GetErrorStr(encoder)}`);
      }
      return file.slice(0, Number(size[0]));
    },
  };
}

function handle(pointer: Pointer | bigint | null): Pointer {
  if (pointer === null) throw new Error("libjpeg-turbo: out of memory");
  return pointer as Pointer;
}

function undecodable(message: string): BadImage {
  return new BadImage(`it can't be decoded: ${message}`);
}

/** In place. Programs write CMYK inverted, as Adobe's did: 255 is no ink. */
function cmykToRgb(pixels: Uint8Array): void {
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const k = pixels[from + 3]!;
    for (let c = 0; c < 3; c++) pixels[to + c] = Math.round((pixels[from + c]! * k) / 255);
  }
}
