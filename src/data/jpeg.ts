/** JPEG by libjpeg-turbo, from and to memory that the caller owns. */
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
/** A progressive file may have so many scans; more are made to keep decoders busy. */
const SCAN_LIMIT = 500;

export interface JpegCodec {
  /**
   * Decodes to width × height RGB pixels at `to(bytes)`, which is asked for the memory: 3 bytes a pixel, 4 while a CMYK
   * image is converted.
   * @returns what the library had to remark, where it could go on
   * @throws BadImage when it could not, or the size is another; the memory then has pixels of anything
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
      // After a premature end the rest of the picture would be grey.
      if (!isWarning || /premature end/i.test(message)) throw undecodable(message);
      // The library stopped at its first warning. Now it goes on, and still says what it said unless something fails: of
      // several warnings only the first becomes its message. Its error code does not tell, for a failure that follows a
      // warning has that of a warning.
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
  /** Else it is of a failure. A failure that follows a warning is also called one. */
  readonly isWarning: boolean;
}

/**
 * Decodes once, up to the first warning; beyond it when it is the one that is expected. Each time with a new decoder (2
 * µs): one that has decoded another file keeps that one's tables, and lends them to a file whose own are damaged.
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
        throw new BadImage(`it has two sizes, ${width} × ${height} and ${found.join(" × ")}`);
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

/** In place. All CMYK counts as inverted, 255 being no ink, as Adobe's programs write it and Pillow reads it. */
function cmykToRgb(pixels: Uint8Array): void {
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const k = pixels[from + 3]!;
    for (let c = 0; c < 3; c++) pixels[to + c] = Math.round((pixels[from + c]! * k) / 255);
  }
}
