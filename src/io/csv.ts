/** Tables as CSV (RFC 4180), in UTF-8: a comma between cells, quotes around those that need them. */
import { UNSEEN } from "../errors.ts";
import { replaceFile } from "./files.ts";

export type Cell = string | number | undefined;

/** What a spreadsheet would take for a formula, and run: also in the wide forms of East Asian scripts. */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/;

/**
 * A line. Numbers have seven digits at most; what is undefined leaves its cell empty. Names of classes and files may be a
 * stranger's: one that a spreadsheet would run gets an apostrophe before it, and what can't be seen is spelt out, as
 * \u{202e}.
 */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(",")}\n`;
}

function csvCell(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "number") return String(Number.isInteger(cell) ? cell : Number(cell.toPrecision(7)));
  const seen = cell.replace(UNSEEN, (unseen) => `\\u{${unseen.codePointAt(0)!.toString(16)}}`);
  const text = FORMULA.test(seen) ? `'${seen}` : seen;
  return /[",]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** So many lines are written at once. */
const LINES_AT_ONCE = 1000;

/** Writes a table as it is made, line by line. @throws AlexNetError when it can't be written */
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
