/** Images, folders and archives made on the spot. */
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { BadImage, type Decoder } from "../../src/data/decode.ts";

/** A folder that `remove` deletes again. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "alexnet-data-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The record of an image, or why there is none; or what is odd about it all the same. */
export function outcome(
  decoder: Decoder,
  bytes: Uint8Array,
  side: number,
  record = new Uint8Array(side * side * 3),
): { record?: Uint8Array; message?: string | undefined } {
  try {
    return { message: decoder.record({ kind: "encoded", bytes }, side, record), record };
  } catch (error) {
    if (error instanceof BadImage) return { message: error.message };
    throw error;
  }
}

export type Files = Readonly<Record<string, Uint8Array | string>>;

export async function writeFiles(root: string, files: Files): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), contents);
  }
}

/** width × height RGBA pixels from a function of the place. */
export function drawn(width: number, height: number, colour: (x: number, y: number) => readonly number[]): Transformer {
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set([...colour(x, y), 255].slice(0, 4), 4 * (y * width + x));
  }
  return Transformer.fromRgbaPixels(pixels, width, height);
}

/** A PNG of one colour. */
export const plain = (red: number, green = red, blue = red, side = 8): Promise<Uint8Array> =>
  drawn(side, side, () => [red, green, blue]).png();

/** A JPEG with an EXIF orientation put in front of its other segments. */
export function withOrientation(jpeg: Uint8Array, orientation: number, little = false): Uint8Array {
  const big = [0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const small = [0x49, 0x49, 0x2a, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
  const body = [0x45, 0x78, 0x69, 0x66, 0, 0, ...(little ? small : big)];
  return Uint8Array.from([0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2, ...body, ...jpeg.subarray(2)]);
}

/** A JPEG of 16 × 16 pixels, RGB (200, 60, 30) as CMYK, written by Pillow. */
export const CMYK: Uint8Array = Buffer.from(
  "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD9IK/O+vx3r9/KKKKKKKKKKKKK/9k=",
  "base64",
);

export interface Member {
  readonly path: string;
  readonly contents?: Uint8Array | string;
  readonly type?: string;
  readonly prefix?: string;
  /** What a link leads to. */
  readonly link?: string;
  /** What the header says, if not the length of the contents. */
  readonly size?: number;
}

/** A tar of these members and the two empty blocks at its end. */
export function tar(...members: Member[]): Uint8Array {
  return Buffer.concat([...members.flatMap(member), Buffer.alloc(1024)]);
}

function member({ path, contents = "", type = "0", prefix = "", link = "", size }: Member): Buffer[] {
  const body = Buffer.from(contents as Uint8Array);
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write("0000644\x000000000\x000000000\x00", 100);
  header.write(`${(size ?? body.length).toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0        ", 136);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write("ustar\x0000", 257);
  header.write(prefix, 345, 155);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
}

/** GNU's long name: a member of type L that names the next one. */
export const gnuLongName = (path: string): Member => ({ path: "././@LongLink", type: "L", contents: `${path}\0` });

/** A pax header for the next member. */
export function pax(records: Readonly<Record<string, string>>): Member {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest);
    while (`${length}`.length + Buffer.byteLength(rest) !== length)
      length = `${length}`.length + Buffer.byteLength(rest);
    return `${length}${rest}`;
  });
  return { path: "PaxHeaders/x", type: "x", contents: lines.join("") };
}
