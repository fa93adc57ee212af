/** Classifies file names: images, system files, and names that are not UTF-8. */
import { isUtf8 } from "node:buffer";
import { latin1 } from "../io/bytes.ts";
import type { ImageHeader } from "./header.ts";

/** File extensions of images. The real format shows in the first bytes. */
const FORMATS: Readonly<Record<string, ImageHeader["format"]>> = {
  jpg: "JPEG",
  jpeg: "JPEG",
  jpe: "JPEG",
  jfif: "JPEG",
  png: "PNG",
  webp: "WebP",
};

/** Most common first. */
export const IMAGE_EXTENSIONS = Object.keys(FORMATS);

/** Common image formats that this program can't read. */
const OTHER_FORMAT =
  /\.(gif|bmp|tiff?|hei[cf]|avif|jxl|jp2|j2k|svg|ico|psd|tga|p[pgbn]m|exr|hdr|dng|cr[23]|nef|arw|orf|rw2|raf)$/i;

/** The image format by file extension; undefined for other files. */
export function formatByName(path: string): ImageHeader["format"] | undefined {
  const dot = path.lastIndexOf(".");
  const extension = path.slice(dot + 1).toLowerCase();
  return dot >= 0 && Object.hasOwn(FORMATS, extension) ? FORMATS[extension] : undefined;
}

export const isOtherFormat = (path: string): boolean => OTHER_FORMAT.test(path);

/**
 * Hidden files, and those that systems and programs leave in folders and archives: macOS, Windows, Linux, Synology's and
 * QNAP's disk stations, Lightroom. Never part of a set.
 */
const SYSTEM =
  /(?:^|\/)(?:\.[^/]*|__MACOSX|Network Trash Folder|Temporary Items|Thumbs\.db|ehthumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|lost\+found|@eaDir|#recycle|#snapshot|@Recycle|@Recently-Snapshot|@__thumb|[^/]*\.lrdata)(?=\/|$)/i;

/** Whether a file or folder of this name is ignored. */
export const isSystemName = (name: string): boolean => SYSTEM.test(name);

/** The path up to and including the first name to ignore, with a trailing "/" for a folder; undefined if there is none. */
export function systemPart(path: string): string | undefined {
  const found = SYSTEM.exec(path);
  if (!found) return undefined;
  const end = found.index + found[0].length;
  return path.slice(0, end) + (end < path.length ? "/" : "");
}

/** A file name as text; undefined when it is not UTF-8. */
export function spelled(name: Uint8Array): string | undefined {
  return isUtf8(name) ? Buffer.from(name.buffer, name.byteOffset, name.length).toString("utf8") : undefined;
}

/** A name that is not UTF-8, for messages: caf\xe9.jpg. */
export function escaped(name: Uint8Array): string {
  return latin1(name).replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}
