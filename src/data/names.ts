/** What the names of files tell: which are images, which are the system's own, and which can't be spelled. */
import { isUtf8 } from "node:buffer";
import type { ImageHeader } from "./header.ts";

/** The endings of image files. Which format a file really has shows in its first bytes. */
const FORMATS: Readonly<Record<string, ImageHeader["format"]>> = {
  jpg: "JPEG",
  jpeg: "JPEG",
  jpe: "JPEG",
  jfif: "JPEG",
  png: "PNG",
  webp: "WebP",
};

/** The endings, the most usual first. */
export const IMAGE_ENDINGS = Object.keys(FORMATS);

/** Formats that people have, and this program can't read. */
const OTHER_FORMAT =
  /\.(gif|bmp|tiff?|hei[cf]|avif|jxl|jp2|j2k|svg|ico|psd|tga|p[pgbn]m|exr|hdr|dng|cr[23]|nef|arw|orf|rw2|raf)$/i;

/** The format that a file is named after; undefined when its name is none of an image. */
export function formatByName(path: string): ImageHeader["format"] | undefined {
  const dot = path.lastIndexOf(".");
  const ending = path.slice(dot + 1).toLowerCase();
  return dot >= 0 && Object.hasOwn(FORMATS, ending) ? FORMATS[ending] : undefined;
}

export const isOtherFormat = (path: string): boolean => OTHER_FORMAT.test(path);

/**
 * What is hidden, and what systems and programs leave in folders and archives: macOS, Windows, Linux, the disk stations
 * of Synology and QNAP, Lightroom. No part of a set.
 */
const SYSTEM =
  /(?:^|\/)(?:\.[^/]*|__MACOSX|Network Trash Folder|Temporary Items|Thumbs\.db|ehthumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|lost\+found|@eaDir|#recycle|#snapshot|@Recycle|@Recently-Snapshot|@__thumb|[^/]*\.lrdata)(?=\/|$)/i;

/** Whether a file or folder of this name is left alone. */
export const isSystemName = (name: string): boolean => SYSTEM.test(name);

/** The path up to the first name that is to be left alone, with a "/" behind a folder; undefined where there is none. */
export function systemPart(path: string): string | undefined {
  const found = SYSTEM.exec(path);
  if (!found) return undefined;
  const end = found.index + found[0].length;
  return path.slice(0, end) + (end < path.length ? "/" : "");
}

/** A name of a disk's or an archive's; undefined when it is no UTF-8. */
export function spelled(name: Uint8Array): string | undefined {
  return isUtf8(name) ? Buffer.from(name.buffer, name.byteOffset, name.length).toString("utf8") : undefined;
}

/** A name that is no UTF-8, for people: caf\xe9.jpg. */
export function escaped(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length)
    .toString("latin1")
    .replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}
