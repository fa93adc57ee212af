/** Writes tables as CSV (RFC 4180) in UTF-8: comma-separated, with quotes only where needed. */
import { INVISIBLE } from "../errors.ts";
import { replaceFile } from "./files.ts";

export type Cell = string | number | undefined;

/** What a spreadsheet would run as a formula, full-width East Asian forms included. */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/;

/**
 * One line. Numbers get at most seven digits; `undefined` is an empty cell. Class and file names are untrusted: a name
 * that a spreadsheet would run as a formula gets a leading apostrophe, and invisible characters are escaped, as \u{202e}.
 */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(",")}\n`;
}

function csvCell(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "number") return String(Number.isInteger(cell) ? cell : Number(cell.toPrecision(7)));
  const visible = cell.replace(INVISIBLE, (invisible) => `\\u{${invisible.codePointAt(0)!.toString(16)}}`);
  const text = FORMULA.test(visible) ? `'${visible}` : visible;
  return /[",]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const LINES_AT_ONCE = 1000;

/** Writes a table while its rows are generated. @throws AlexNetError when it can't be written */
export async function writeCsv(
  path: string,
  header: readonly string[],
  rows: Iterable<readonly Cell[]>,
): Promise<void> {
  const encoder = new TextEncoder();
  await replaceFile(path, (append) => {
    let lines = [csvLine(header)];
    for (const row of rows) {
      if (lines.push(csvLine(row)) < LINES_AT_ONCE) continue;
      append(encoder.encode(lines.join("")));
      lines = [];
    }
    append(encoder.encode(lines.join("")));
  });
}
