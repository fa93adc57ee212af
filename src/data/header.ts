/**
 * What the first bytes of an image file say about it, without decoding: the format by content, whatever the file is
 * called, the size, how the camera was held (EXIF tag 0x0112), and whether there is transparency. JPEG: ITU T.81 §B;
 * PNG: W3C PNG §11.2, tRNS and eXIf; WebP: RFC 9649.
 */

export interface ImageHeader {
  readonly format: "JPEG" | "PNG" | "WebP";
  /** In pixels, as stored: before the orientation is applied. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 (upright) to 8; 5 to 8 swap width and height. */
  readonly orientation: number;
  /** Whether some pixels may be transparent. */
  readonly transparent: boolean;
}

/** How many bytes `formatOf` needs. */
export const SIGNATURE_BYTES = 12;

/** The format of a file that begins like this, or undefined when it is none that can be read. */
export function formatOf(bytes: Uint8Array): ImageHeader["format"] | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "JPEG";
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP") return "WebP";
  return undefined;
}

/** Reads the header; a string says what is wrong instead. */
export function readHeader(bytes: Uint8Array): ImageHeader | string {
  if (bytes.length === 0) return "the file is empty";
  const format = formatOf(bytes);
  if (format === undefined) return "it is no JPEG, PNG or WebP image";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = { JPEG: jpegHeader, PNG: pngHeader, WebP: webpHeader }[format](view, bytes);
  if (found === undefined) return `its ${format} header is damaged or cut short`;
  if (found === "no end") return `its ${format} data are cut short: the end marker is missing`;
  if (found.width === 0 || found.height === 0)
    return `its ${format} header says ${found.width} × ${found.height} pixels`;
  return { format, ...found, orientation: found.orientation ?? 1 };
}

type Found = Omit<ImageHeader, "format" | "orientation"> & { readonly orientation?: number | undefined };

const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);

function jpegHeader(view: DataView, bytes: Uint8Array): Found | "no end" | undefined {
  let orientation: number | undefined;
  // Segments follow one another: 0xFF, a marker, a length that counts itself.
  for (let at = 2; at + 9 <= bytes.length;) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    const length = view.getUint16(at + 2);
    if (marker === 0xe1 && text(bytes, at + 4, 6) === "Exif\0\0") {
      orientation ??= exifOrientation(bytes.subarray(at + 10, at + 2 + length));
    }
    // A frame: SOF0 … SOF15 without DHT, JPG and DAC, which share the range.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      // The decoder would fill what is missing with grey and say nothing.
      if (bytesOf(bytes).lastIndexOf(END_OF_IMAGE) < at) return "no end";
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), orientation, transparent: false };
    }
    at += 2 + length;
  }
  return undefined;
}

function pngHeader(view: DataView, bytes: Uint8Array): Found | undefined {
  if (bytes.length < 33 || text(bytes, 12, 4) !== "IHDR") return undefined;
  let orientation: number | undefined;
  // Colour types 4 and 6 have an alpha channel; in others tRNS names a transparent colour.
  let transparent = (bytes[25]! & 4) !== 0;
  for (let at = 33; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = text(bytes, at + 4, 4);
    if (name === "eXIf") orientation = exifOrientation(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
    if (name === "tRNS") transparent = true;
    if (name === "IEND") break;
  }
  return { width: view.getUint32(16), height: view.getUint32(20), orientation, transparent };
}

function webpHeader(view: DataView, bytes: Uint8Array): Found | undefined {
  if (bytes.length < 30) return undefined;
  const chunk = text(bytes, 12, 4);
  if (chunk === "VP8 ") {
    const [width, height] = [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
    return { width, height, transparent: false };
  }
  if (chunk === "VP8L") {
    const bits = view.getUint32(21, true);
    const transparent = (bits & (1 << 28)) !== 0;
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, transparent };
  }
  if (chunk !== "VP8X") return undefined;
  let orientation: number | undefined;
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    if (text(bytes, at, 4) === "EXIF") orientation = exifOrientation(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  const uint24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  return { width: uint24(24) + 1, height: uint24(27) + 1, orientation, transparent: (bytes[20]! & 0x10) !== 0 };
}

/** The orientation in a TIFF structure, or undefined when there is none that makes sense. */
function exifOrientation(bytes: Uint8Array): number | undefined {
  // Some WebP and PNG writers repeat JPEG's prefix.
  const tiff = text(bytes, 0, 6) === "Exif\0\0" ? bytes.subarray(6) : bytes;
  if (tiff.length < 8) return undefined;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = text(tiff, 0, 2) === "II";
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return undefined;
  for (let i = 0; i < view.getUint16(directory, little); i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return undefined;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return bytesOf(bytes).toString("latin1", at, at + length);
}

function bytesOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
