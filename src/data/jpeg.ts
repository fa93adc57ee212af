/** Decodes and encodes JPEG with libjpeg-turbo, in memory that the caller owns. */
import { openTurbojpeg } from "../native/turbojpeg.ts";
import type { Address, Turbojpeg } from "../native/turbojpeg_api.ts";
import { BadImage } from "./image.ts";

// turbojpeg.h of 3.1: enum TJINIT, TJPARAM, TJCS, TJPF, TJSAMP, TJERR.
const COMPRESS = 0;
const DECOMPRESS = 1;
const PARAM = {
  ...{ stopOnWarning: 0, noRealloc: 2, quality: 3, subsampling: 4 },
  ...{ width: 5, height: 6, colourSpace: 8, scanLimit: 13 },
} as const;
const RGB = 0;
const CMYK = 11;
const CMYK_SPACES = [3, 4];
const SUBSAMPLING_420 = 2;
const WARNING = 0;
/** The most scans allowed in a progressive file; more are an attack on the decoder's time. */
const SCAN_LIMIT = 500;

export interface JpegCodec {
  /**
   * Decodes to width × height RGB pixels in the memory returned by `to(bytes)`: 3 bytes per pixel, 4 for a CMYK image,
   * which is then converted in place.
   * @returns the library's warning, if it could continue after it
   * @throws BadImage when it could not, or the size differs; the memory's contents are then undefined
   */
  decode(file: Uint8Array, width: number, height: number, to: (bytes: number) => Uint8Array): string | undefined;
  /** Encodes width × height RGB pixels with 4:2:0 subsampling. @param quality 1 to 100 */
  encode(pixels: Uint8Array, width: number, height: number, quality: number): Uint8Array;
}

/** @throws DeviceError when TURBOJPEG_LIB_PATH is wrong */
export function openJpeg(tj: Turbojpeg = openTurbojpeg()): JpegCodec {
  return {
    decode(file, width, height, to) {
      const first = decode(tj, file, width, height, to);
      if (first === undefined) return undefined;
      const { message, isWarning } = first;
      // After a premature end the rest of the image would be grey.
      if (!isWarning || /premature end/i.test(message)) throw undecodable(message);
      // The library stopped at its first warning. Now it continues, and ends with the same message unless something
      // fails: only the first of several warnings becomes its message. The error code can't tell, because a failure after
      // a warning keeps the warning's code.
      const second = decode(tj, file, width, height, to, message);
      if (second?.message !== message) throw undecodable(second?.message ?? message);
      return message;
    },
    encode(pixels, width, height, quality) {
      return withHandle(tj, COMPRESS, (encoder) => {
        tj.tj3Set(encoder, PARAM.noRealloc, 1);
        tj.tj3Set(encoder, PARAM.subsampling, SUBSAMPLING_420);
        tj.tj3Set(encoder, PARAM.quality, quality);
        const file = new Uint8Array(tj.tj3JPEGBufSize(width, height, SUBSAMPLING_420));
        const bytes = tj.read(pixels, (from) => tj.compress(encoder, from, width, height, RGB, file));
        if (bytes === undefined) throw new Error(`libjpeg-turbo: ${tj.tj3GetErrorStr(encoder)}`);
        return file.slice(0, bytes);
      });
    },
  };
}

interface Complaint {
  readonly message: string;
  /** Otherwise a failure. A failure that follows a warning also counts as a warning. */
  readonly isWarning: boolean;
}

/**
 * Decodes once, stopping at the first warning unless it is the `expected` one. Each time with a new decoder (2 µs): a
 * used one keeps the previous file's tables and would apply them to a file whose own are damaged.
 */
function decode(
  tj: Turbojpeg,
  file: Uint8Array,
  width: number,
  height: number,
  to: (bytes: number) => Uint8Array,
  expected?: string,
): Complaint | undefined {
  return withHandle(tj, DECOMPRESS, (decoder) => {
    const complaint = (status: number): Complaint | undefined => {
      if (status === 0) return undefined;
      return { message: tj.tj3GetErrorStr(decoder), isWarning: tj.tj3GetErrorCode(decoder) === WARNING };
    };
    tj.tj3Set(decoder, PARAM.scanLimit, SCAN_LIMIT);
    tj.tj3Set(decoder, PARAM.stopOnWarning, expected === undefined ? 1 : 0);
    return tj.read(file, (at) => {
      const ofHeader = complaint(tj.tj3DecompressHeader(decoder, at, file.length));
      if (ofHeader && ofHeader.message !== expected) return ofHeader;
      const found = [tj.tj3Get(decoder, PARAM.width), tj.tj3Get(decoder, PARAM.height)];
      if (found[0] !== width || found[1] !== height) {
        throw new BadImage(`it states two sizes, ${width} × ${height} and ${found.join(" × ")}`);
      }
      const cmyk = CMYK_SPACES.includes(tj.tj3Get(decoder, PARAM.colourSpace));
      const pixels = to(width * height * (cmyk ? 4 : 3));
      const ofPixels = complaint(
        tj.update(pixels, (place) => tj.tj3Decompress8(decoder, at, file.length, place, 0, cmyk ? CMYK : RGB)),
      );
      if (cmyk) cmykToRgb(pixels);
      return ofPixels;
    });
  });
}

/** Calls `use` with a new encoder or decoder. */
function withHandle<T>(tj: Turbojpeg, kind: number, use: (handle: Address) => T): T {
  const handle = tj.tj3Init(kind);
  if (handle === 0) throw new Error("libjpeg-turbo: out of memory");
  try {
    return use(handle);
  } finally {
    tj.tj3Destroy(handle);
  }
}

function undecodable(message: string): BadImage {
  return new BadImage(`it can't be decoded: ${message}`);
}

/** Converts in place. CMYK is taken as inverted (255 is no ink), as Adobe's programs write it and Pillow reads it. */
function cmykToRgb(pixels: Uint8Array): void {
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const k = pixels[from + 3]!;
    for (let c = 0; c < 3; c++) pixels[to + c] = Math.round((pixels[from + c]! * k) / 255);
  }
}
