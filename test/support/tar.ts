/** Tar archives made on the spot, sound or not. */
import type { Files } from "./folders.ts";

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

/** A tar of these files. */
export const tarOf = (files: Files): Uint8Array =>
  tar(...Object.entries(files).map(([path, contents]) => ({ path, contents })));

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
