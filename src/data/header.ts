/**
 * Reads an image file's header without decoding it: format (by content, whatever the file is called), size, orientation
 * and bit depth. JPEG: ITU T.81 §B; PNG: W3C PNG §11.2, tRNS and eXIf; WebP: RFC 9649.
 */
import { inflateSync } from "node:zlib";
import { latin1, viewOf } from "../io/bytes.ts";
import { EXIF_PREFIX, orientationOf } from "./exif.ts";

export interface ImageHeader {
  readonly format: "JPEG" | "PNG" | "WebP";
  /** In pixels, as stored: before the orientation is applied. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 (upright) to 8; for 5 to 8, width and height are swapped. */
  readonly orientation: number;
  /** Bits per channel: 8; PNGs also have 1, 2, 4 or 16. */
  readonly depth: number;
}

/** How many bytes `formatOf` needs. */
export const SIGNATURE_BYTES = 12;

/** The format of a file from its first bytes; undefined if it can't be read. */
export function formatOf(bytes: Uint8Array): ImageHeader["format"] | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "JPEG";
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP") return "WebP";
  return undefined;
}

/** The header, or a string that says what is wrong. */
export function readHeader(bytes: Uint8Array): ImageHeader | string {
  if (bytes.length === 0) return "the file is empty";
  const format = formatOf(bytes);
  if (format === undefined) return "it is not a JPEG, PNG or WebP image";
  const view = viewOf(bytes);
  const found = { JPEG: jpegHeader, PNG: pngHeader, WebP: webpHeader }[format](view, bytes);
  if (found === undefined) return `its ${format} header is damaged or cut short`;
  if (found === "no end") return `its ${format} data is cut short: the end marker is missing`;
  const { exif, xmp, ...rest } = found;
  if (rest.width === 0 || rest.height === 0) return `its ${format} header says ${rest.width} × ${rest.height} pixels`;
  return { format, depth: 8, ...rest, orientation: orientationOf(exif, xmp) };
}

interface HeaderFields extends Pick<ImageHeader, "width" | "height"> {
  readonly depth?: number;
  readonly exif?: Uint8Array | undefined;
  readonly xmp?: Uint8Array | undefined;
}

const [START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, APP1] = [0xd8, 0xd9, 0xda, 0xe1];
const XMP_PREFIX = "http://ns.adobe.com/xap/1.0/\0";

/** Walks from marker to marker, as libjpeg does, up to the end of the first image; others may follow it. */
function jpegHeader(view: DataView, bytes: Uint8Array): HeaderFields | "no end" | undefined {
  let size: { width: number; height: number } | undefined;
  let scanned = false;
  const exif: Uint8Array[] = [];
  let xmp: Uint8Array | undefined;
  for (let at = 2; ;) {
    // Before a marker there may be scan data, fill bytes, or stray bytes.
    at = bytes.indexOf(0xff, at);
    while (at >= 0 && bytes[at] === 0xff) at++;
    const marker = at < 0 ? undefined : bytes[at++];
    // 0xFF followed by zero is scan data; TEM and the restart markers have no length.
    if (marker === 0 || marker === 1 || (marker !== undefined && marker >= 0xd0 && marker <= 0xd7)) continue;
    if (marker === END_OF_IMAGE) break;
    if (marker === undefined || marker === START_OF_IMAGE || at + 2 > bytes.length) return size && "no end";
    const segment = bytes.subarray(at + 2, at + view.getUint16(at));
    // A frame header: SOF0 … SOF15 without DHT, JPG and DAC, which share the range.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      if (segment.length < 6) return undefined;
      size ??= { height: view.getUint16(at + 3), width: view.getUint16(at + 5) };
    }
    if (marker === START_OF_SCAN) scanned = true;
    if (marker === APP1 && !scanned) {
      // EXIF data that don't fit into one segment continue in the next.
      if (text(segment, 0, EXIF_PREFIX.length) === EXIF_PREFIX) exif.push(segment.subarray(EXIF_PREFIX.length));
      if (text(segment, 0, XMP_PREFIX.length) === XMP_PREFIX) xmp = segment.subarray(XMP_PREFIX.length);
    }
    at += view.getUint16(at);
  }
  return size && { ...size, exif: exif.length > 1 ? Buffer.concat(exif) : exif[0], xmp };
}

/** Text chunks that inflate to more are ignored. */
const MAX_TEXT_BYTES = 2 ** 20;

function pngHeader(view: DataView, bytes: Uint8Array): HeaderFields | undefined {
  if (bytes.length < 33 || text(bytes, 12, 4) !== "IHDR") return undefined;
  let exif: Uint8Array | undefined;
  // Of repeated text chunks the last counts; only that one is inflated, at the end.
  let profile: (() => Uint8Array | undefined) | undefined;
  let xmp: (() => Uint8Array | undefined) | undefined;
  for (let at = 33; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = text(bytes, at + 4, 4);
    const data = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    if (name === "IEND") break;
    if (name === "eXIf") exif = data;
    if (!TEXTS.has(name)) continue;
    const keyword = text(data, 0, Math.max(0, data.indexOf(0)));
    if (keyword === "XML:com.adobe.xmp") xmp = () => pngText(name, data);
    if (keyword === "Raw profile type exif") profile = () => pngText(name, data);
  }
  exif ??= fromHexadecimal(profile?.());
  return { width: view.getUint32(16), height: view.getUint32(20), depth: bytes[24]!, exif, xmp: xmp?.() };
}

/** EXIF data as ImageMagick writes them: three lines, the last with the length, then hexadecimal digits. */
function fromHexadecimal(profile: Uint8Array | undefined): Uint8Array | undefined {
  return profile && Buffer.from(text(profile, 0, profile.length).split("\n").slice(3).join(""), "hex");
}

const TEXTS = new Set(["tEXt", "zTXt", "iTXt"]);

/** A text chunk's text after the keyword; undefined when it can't be inflated. */
function pngText(name: string, data: Uint8Array): Uint8Array | undefined {
  const keywordEnd = data.indexOf(0);
  if (name === "tEXt") return data.subarray(keywordEnd + 1);
  // After the keyword: whether it is compressed (iTXt only), the method (there is one), language, translated keyword.
  const [compressed, start] =
    name === "zTXt"
      ? [true, keywordEnd + 2]
      : [data[keywordEnd + 1] !== 0, data.indexOf(0, data.indexOf(0, keywordEnd + 3) + 1) + 1];
  if (!compressed) return data.subarray(start);
  try {
    return inflateSync(data.subarray(start), { maxOutputLength: MAX_TEXT_BYTES });
  } catch {
    return undefined;
  }
}

function webpHeader(view: DataView, bytes: Uint8Array): HeaderFields | undefined {
  if (bytes.length < 30) return undefined;
  const chunk = text(bytes, 12, 4);
  if (chunk === "VP8 ") {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  if (chunk === "VP8L") {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (chunk !== "VP8X") return undefined;
  let exif: Uint8Array | undefined;
  let xmp: Uint8Array | undefined;
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (text(bytes, at, 4) === "EXIF") exif ??= data;
    if (text(bytes, at, 4) === "XMP ") xmp ??= data;
    at += 8 + length + (length % 2);
  }
  const uint24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  return { width: uint24(24) + 1, height: uint24(27) + 1, exif, xmp };
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return latin1(bytes.subarray(at, at + length));
}
