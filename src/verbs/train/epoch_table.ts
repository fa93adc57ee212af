/** A training's epochs as a table, with the columns that the terminal has room for. */
import { bold, columns, count, dim, green, percent } from "../../cli/terminal.ts";
import type { EpochRecord } from "../../runs/records.ts";

interface Column {
  readonly head: string;
  readonly width: number;
  /** The columns of the lowest are left out first. */
  readonly importance: number;
  cell(record: EpochRecord): string;
  paint?(cell: string): string;
}

const COLUMNS: readonly Column[] = [
  { head: "epoch", width: 5, importance: 6, cell: ({ epoch }) => String(epoch) },
  { head: "train loss", width: 10, importance: 4, cell: ({ train }) => train.loss.toFixed(3) },
  { head: "accuracy", width: 8, importance: 3, cell: ({ train }) => percent(1 - train.top1) },
  { head: "val loss", width: 8, importance: 5, cell: ({ val }) => val.loss.toFixed(3) },
  { head: "accuracy", width: 8, importance: 7, cell: ({ val }) => percent(1 - val.top1), paint: bold },
  { head: "images/s", width: 8, importance: 1, cell: ({ imagesPerSecond }) => rate(imagesPerSecond), paint: dim },
  { head: "time", width: 7, importance: 2, cell: ({ seconds }) => shortDuration(seconds), paint: dim },
];

/** What stands behind the row of the best epoch so far. */
const BEST = "best";
/** Waiting for data is told from this share of an epoch on. */
const WAITS = 0.01;
const GAP = 2;

/** Says rows, the first of them with a heading. @param width of the terminal */
export function epochTable(width = columns()): (record: EpochRecord, isBest: boolean) => string {
  const shown = fitting(width);
  const line = (cells: readonly string[]) => cells.join(" ".repeat(GAP));
  let head: string | undefined = line(shown.map((column) => dim(column.head.padStart(column.width))));
  return (record, isBest) => {
    const cells = shown.map((column) => {
      const cell = column.cell(record).padStart(column.width);
      return column.paint?.(cell) ?? cell;
    });
    const used = lengthOf(shown) + GAP + BEST.length;
    const waits = record.dataWait >= WAITS ? `${percent(record.dataWait)} of it waiting for data` : "";
    const hasRoom = waits !== "" && used + GAP + waits.length <= width;
    const mark = isBest ? green(BEST) : " ".repeat(BEST.length);
    const text = line([...cells, ...(hasRoom ? [mark, dim(waits)] : isBest ? [mark] : [])]);
    const all = head === undefined ? text : `${head}\n${text}`;
    head = undefined;
    return all;
  };
}

/** The most important columns that fit, in their order. */
function fitting(width: number): readonly Column[] {
  for (let least = 1; ; least++) {
    const shown = COLUMNS.filter(({ importance }) => importance >= least);
    if (shown.length === 1 || lengthOf(shown) + GAP + BEST.length <= width) return shown;
  }
}

function lengthOf(shown: readonly Column[]): number {
  return shown.reduce((sum, { width }) => sum + width + GAP, -GAP);
}

export function rate(imagesPerSecond: number): string {
  return imagesPerSecond >= 100 ? count(Math.round(imagesPerSecond)) : imagesPerSecond.toFixed(1);
}

/** 12 s, 3m 20s, 1h 05m. */
function shortDuration(seconds: number): string {
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  return s < 3600
    ? `${Math.floor(s / 60)}m ${two(s % 60)}s`
    : `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
}
