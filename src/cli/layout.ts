/** Text laid out for the width of the terminal: tables, bars, shortened names. */

/** Columns of the terminal that a stream is; without one, as many as are wanted. */
export function columns(stream: NodeJS.WriteStream = process.stdout): number {
  return (stream.isTTY && stream.columns) || Infinity;
}

/** Text in at most so many columns. */
export function shortened(text: string, columns: number): string {
  return Bun.stringWidth(text) <= columns ? text : `${Bun.sliceAnsi(text, 0, columns - 1)}…`;
}

/** Eighths of a block make a bar smooth. */
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar that fills `share` (0 to 1) of `width` columns, padded to that width. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const text = "█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
  return text.padEnd(width);
}

/** The least width of a bar in a table. */
const LEAST_BAR = 6;

/** How wide the bars of a table and its longest name may be. @param others columns that the rest of a row takes */
export function widthsFor(names: readonly string[], others: number, most: number): { bar: number; name: number } {
  const free = columns() - others;
  const longest = Math.max(0, ...names.map((name) => Bun.stringWidth(name)));
  const bar = Math.max(LEAST_BAR, Math.min(most, free - longest));
  return { bar, name: Math.max(LEAST_BAR, free - bar) };
}

/** Aligns the columns of rows. @param right indices of columns aligned to the right */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  // In many scripts characters take two columns, or none.
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => Bun.stringWidth(row[column]!))));
  const space = (cell: string, column: number) => " ".repeat(widths[column]! - Bun.stringWidth(cell));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (right.includes(column) ? space(cell, column) + cell : cell + space(cell, column)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A table, or, where the terminal is too narrow for it, a paragraph for each row with its first cell on a line. */
export function tableOrList(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const whole = table(rows, right);
  if (fits(whole)) return whole;
  return rows
    .map(([first, ...rest]) => {
      const text = rest.filter((cell) => cell !== "").join(", ");
      return `${first}\n${Bun.wrapAnsi(text, columns() - 2).replaceAll(/^/gm, "  ")}`;
    })
    .join("\n");
}

/** A table without the columns that the terminal has no room for. @param spare those to leave out, in this order */
export function fittingTable(
  rows: readonly (readonly string[])[],
  right: readonly number[],
  spare: readonly number[],
): string {
  const whole = table(rows, right);
  const [first, ...rest] = spare;
  if (first === undefined || fits(whole)) return whole;
  const without = (indices: readonly number[]) =>
    indices.filter((i) => i !== first).map((i) => (i > first ? i - 1 : i));
  return fittingTable(
    rows.map((row) => row.toSpliced(first, 1)),
    without(right),
    without(rest),
  );
}

function fits(text: string): boolean {
  const width = columns();
  return text.split("\n").every((line) => Bun.stringWidth(line) <= width);
}
