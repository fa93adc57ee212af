/**
 * Pictures are composed as SVG and rendered to PNG with a bundled font, so that they look the same on every machine.
 * Class and file names are untrusted: they enter only through `text`.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadResvg } from "../native/add_ons.ts";
import { onDisk } from "../native/embedded.ts";
import { installation, ROOT } from "../program.ts";
import { cleanText } from "./clean_text.ts";

const FAMILY = "DejaVu Sans";

let found: readonly string[] | undefined;

/** The fonts' files, when the first picture needs them. */
function fontFiles(): string[] {
  found ??= ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((name) =>
    installation === "checkout"
      ? fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${name}`))
      : onDisk(join(ROOT, "fonts", name)),
  );
  return [...found];
}

export interface TextStyle {
  /** In pixels. */
  readonly size: number;
  readonly bold?: boolean;
  /** A CSS colour; black by default. */
  readonly colour?: string;
  /** Which point of the text is at x. */
  readonly anchor?: "start" | "middle" | "end";
}

/** One line of text with its baseline at y. Any string is safe: it becomes neither markup nor a second line. */
export function text(x: number, y: number, words: string, style: TextStyle): string {
  const { size, bold = false, colour = "#000000", anchor = "start" } = style;
  return (
    `<text x="${x}" y="${y}" font-size="${size}" font-weight="${bold ? "bold" : "normal"}" fill="${colour}" ` +
    `text-anchor="${anchor}">${escapeMarkup(cleanText(words))}</text>`
  );
}

export function rectangle(x: number, y: number, width: number, height: number, colour: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${colour}"/>`;
}

function escapeMarkup(words: string): string {
  return words.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The width of a line in pixels; a generous estimate for characters that the font lacks. */
export function widthOf(words: string, { size, bold = false }: Pick<TextStyle, "size" | "bold">): number {
  return [...cleanText(words)].reduce((sum, character) => sum + advanceOf(character, bold), 0) * size;
}

const advances = new Map<string, number>();

/** A character's advance width, relative to the font size. */
function advanceOf(character: string, bold: boolean): number {
  const columns = Bun.stringWidth(character);
  // East Asian characters and emoji are square, and not in our font.
  if (columns !== 1) return columns === 0 ? 0 : 1.1;
  const key = bold ? `bold ${character}` : character;
  let advance = advances.get(key);
  if (advance === undefined) {
    // Bounding boxes measure ink: a space is only measurable between two strokes.
    advance = (inkWidth(`|${character}|`, bold) - inkWidth("||", bold)) / MEASURED_SIZE;
    advances.set(key, advance);
  }
  return advance;
}

const MEASURED_SIZE = 100;

function inkWidth(words: string, bold: boolean): number {
  const svg = document(1, 1, [text(0, 0, words, { size: MEASURED_SIZE, bold })]);
  const { Resvg } = loadResvg();
  return new Resvg(svg, { font: { loadSystemFonts: false, fontFiles: fontFiles() } }).getBBox()?.width ?? 0;
}

/** Shortens text to `width` pixels with an ellipsis, keeping its start, or its start and end ("both"). */
export function shorten(words: string, width: number, style: TextStyle, keep: "start" | "both" = "start"): string {
  const clean = cleanText(words);
  if (widthOf(clean, style) <= width) return clean;
  // Don't split letters from their accents, or emoji sequences.
  const letters = [...new Intl.Segmenter().segment(clean)].map(({ segment }) => segment);
  for (let count = letters.length - 1; count > 0; count--) {
    const head = keep === "start" ? count : Math.ceil(count / 2);
    const short = `${letters.slice(0, head).join("").trimEnd()}…${letters.slice(letters.length - count + head).join("")}`;
    if (widthOf(short, style) <= width) return short;
  }
  return "…";
}

/** Wraps text between words to at most `count` lines of `width` pixels; the last is shortened. */
export function wrap(words: string, width: number, count: number, style: TextStyle): string[] {
  const lines: string[] = [];
  let rest = cleanText(words).split(" ");
  while (rest.length > 0 && lines.length < count - 1) {
    let used = 1;
    while (used < rest.length && widthOf(rest.slice(0, used + 1).join(" "), style) <= width) used++;
    lines.push(shorten(rest.slice(0, used).join(" "), width, style));
    rest = rest.slice(used);
  }
  if (rest.length > 0) lines.push(shorten(rest.join(" "), width, style));
  return lines;
}

/** A complete SVG document with a white background. */
export function document(width: number, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FAMILY}">`,
    rectangle(0, 0, width, height, "#ffffff"),
    ...parts,
    "</svg>",
  ].join("\n");
}

/** Renders an SVG to a PNG file. Scripts that our font lacks use the system's fonts, if there are any. */
export async function renderPng(svg: string): Promise<Uint8Array> {
  const font = { loadSystemFonts: true, fontFiles: fontFiles(), defaultFontFamily: FAMILY };
  return (await loadResvg().renderAsync(svg, { font })).asPng();
}
