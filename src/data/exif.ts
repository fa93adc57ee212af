/**
 * Image orientation from EXIF data (CIPA DC-008, tag 0x0112 in the first directory of a TIFF structure) or else from
 * XMP, read as Pillow reads it.
 */
import { latin1, viewOf } from "../io/bytes.ts";

const ORIENTATION = 0x0112;

interface Type {
  readonly bytes: number;
  /** Absent for text and untyped bytes. */
  readonly read?: (view: DataView, at: number, little: boolean) => number;
}

/** TIFF 6.0's types by number. */
const TYPES: Readonly<Record<number, Type>> = {
  1: { bytes: 1 },
  2: { bytes: 1 },
  3: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  4: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  5: { bytes: 8, read: (view, at, little) => view.getUint32(at, little) / view.getUint32(at + 4, little) },
  6: { bytes: 1, read: (view, at) => view.getInt8(at) },
  7: { bytes: 1 },
  8: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  9: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  10: { bytes: 8, read: (view, at, little) => view.getInt32(at, little) / view.getInt32(at + 4, little) },
  11: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  12: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
};

/**
 * The orientation, 1 (upright) to 8, from an image's metadata; 1 if it is invalid.
 * @param exif a TIFF structure, with or without JPEG's prefix
 * @param xmp used only if the EXIF data have no orientation
 */
export function orientationOf(exif: Uint8Array | undefined, xmp: Uint8Array | undefined): number {
  const found = (exif && exifOrientation(exif)) ?? (xmp && xmpOrientation(xmp)) ?? 1;
  return Number.isInteger(found) && found >= 1 && found <= 8 ? found : 1;
}

/** The tag's value, unchecked; undefined when there is none. */
function exifOrientation(bytes: Uint8Array): number | undefined {
  const tiff = withoutPrefix(bytes);
  if (tiff.length < 8) return undefined;
  const view = viewOf(tiff);
  const order = latin1(tiff.subarray(0, 2));
  const little = order === "II";
  if ((!little && order !== "MM") || ![0x002a, 0x2a00].includes(view.getUint16(2))) return undefined;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return undefined;
  for (let i = 0; i < view.getUint16(directory, little); i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return undefined;
    if (view.getUint16(entry, little) !== ORIENTATION) continue;
    const type = TYPES[view.getUint16(entry + 2, little)];
    const bytes = (type?.bytes ?? 0) * view.getUint32(entry + 4, little);
    // Up to four bytes are stored in the entry itself. Of several values the first counts.
    const at = bytes <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
    if (bytes === 0 || at + bytes > tiff.length) continue;
    return type?.read?.(view, at, little) ?? 1;
  }
  return undefined;
}

function xmpOrientation(xmp: Uint8Array): number | undefined {
  const digit = /tiff:Orientation(?:="|>)([0-9])/.exec(latin1(xmp))?.[1];
  return digit === undefined ? undefined : Number(digit);
}

/** JPEG's prefix of EXIF data. Some PNG and WebP writers add it too, and some write it twice. */
export const EXIF_PREFIX = "Exif\0\0";

function withoutPrefix(bytes: Uint8Array): Uint8Array {
  let rest = bytes;
  while (latin1(rest.subarray(0, EXIF_PREFIX.length)) === EXIF_PREFIX) rest = rest.subarray(EXIF_PREFIX.length);
  return rest;
}
