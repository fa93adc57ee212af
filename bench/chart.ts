/** A bar chart of a suite as SVG: a group per piece of work, a bar per contestant and device. */
import { replaceFile } from "../src/io/files.ts";
import { percent, perSecond } from "./units.ts";
import { rate, type Results, type Row } from "./results.ts";

const WIDTH = 960;
const MARGIN = 20;
const BAR = 16;
const GAP = 12;
const FONT = 12;
/** An upper bound of a sans-serif font's average letter width, relative to its size. */
const LETTER = 0.62;
/** Okabe and Ito's palette, which is safe for colour blindness. */
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#b8a900"];
/** Lower rungs of a ladder, which only lead up to the kernel in use, are grey. */
const RUNG = /_\d_/;
const RUNG_COLOUR = "#b4b4b4";

/** Writes FILE-SUITE.svg for FILE.svg, unless the suite has no rows. */
export async function writeChart(path: string, suite: string, results: Results): Promise<void> {
  const rows = results.rows.filter((row) => row.suite === suite);
  if (rows.length === 0) return;
  const svg = chart(suite, rows, results);
  await replaceFile(path.replace(/\.svg$/, `-${suite}.svg`), (append) => append(new TextEncoder().encode(svg)));
}

export function chart(title: string, rows: readonly Row[], { machine, devices }: Results): string {
  const groups = [...Map.groupBy(rows, ({ name }) => name)];
  const used = [...new Set(rows.filter(({ contestant }) => !RUNG.test(contestant)).map(whoOf))];
  const labels = widthOf(rows.map(whoOf));
  const values = widthOf(rows.map(valueOf));
  const [left, room] = [MARGIN + labels + 8, WIDTH - 2 * MARGIN - labels - values - 16];
  const colourOf = (row: Row) => COLOURS[used.indexOf(whoOf(row)) % COLOURS.length] ?? RUNG_COLOUR;
  const parts: string[] = [];
  let y = MARGIN;
  const write = (text: string, style = "") => {
    y += FONT + 4;
    parts.push(`<text x="${MARGIN}" y="${y}"${style}>${escape(text)}</text>`);
    y += 4;
  };

  write(title, ` font-size="${FONT + 6}" font-weight="bold"`);
  const commit = machine.commit ? `, commit ${machine.commit}${machine.dirty ? " with changes" : ""}` : "";
  write(
    `${machine.processor}, ${machine.date.slice(0, 10)}${commit}; best time of each, percent of the device's roof`,
    GREY,
  );
  const present = devices.filter(({ device }) => rows.some((row) => row.device === device));
  for (const { device, description } of present) write(`${device}: ${description}`, GREY);
  for (const [name, group] of groups) {
    y += GAP;
    write(name, ` font-weight="bold"`);
    for (const row of group) {
      // Networks differ too much to share a scale; kernels share one to be compared.
      const scale = row.work.unit === "image" ? group : rows.filter((other) => other.work.unit === row.work.unit);
      const share = speedOf(row) / Math.max(...scale.map(speedOf));
      const width = Math.max(1, Math.round(room * share));
      const baseline = y + BAR - 4;
      parts.push(
        `<text x="${left - 8}" y="${baseline}" text-anchor="end">${escape(whoOf(row))}</text>`,
        `<rect x="${left}" y="${y}" width="${width}" height="${BAR - 3}" fill="${colourOf(row)}"/>`,
        `<text x="${left + width + 6}" y="${baseline}">${escape(valueOf(row))}</text>`,
      );
      y += BAR;
    }
  }
  const height = y + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"` +
      ` font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="${FONT}" fill="#222222">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

const GREY = ` fill="#666666"`;

function speedOf({ work, ms }: Row): number {
  return rate(work, ms.best);
}

function whoOf({ contestant, device }: Row): string {
  return `${contestant}, ${device}`;
}

function valueOf(row: Row): string {
  const speed = perSecond(row.work, row.ms.best);
  return row.ofRoof === undefined ? speed : `${speed}, ${percent(row.ofRoof)}`;
}

function widthOf(texts: readonly string[]): number {
  return Math.ceil(Math.max(...texts.map((text) => text.length)) * FONT * LETTER);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
