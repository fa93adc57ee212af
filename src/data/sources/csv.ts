/** Reads comma-separated values (RFC 4180): quoted cells may hold commas, line breaks and doubled quotes. */
import { DataError } from "../../errors.ts";

/** In characters. A longer row can't be part of a list of images. */
export const MAX_ROW_LENGTH = 64 * 1024;

interface CsvRow {
  /** The line on which it begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** The non-empty rows. @param name the file's, for messages @throws DataError with the line */
export function* csvRows(text: string, name: string): Generator<CsvRow> {
  let [at, line] = [0, 1];
  while (at < text.length) {
    const [start, first] = [at, line];
    const cells: string[] = [];
    const tooLong = () =>
      new DataError(`${name}, line ${first}: more than ${MAX_ROW_LENGTH} characters: it is not a list of images`);
    for (let isLast = false; !isLast;) {
      let cell = "";
      if (text[at] === '"') {
        at++;
        for (;;) {
          const end = text.indexOf('"', at);
          if (end < 0) throw new DataError(`${name}, line ${first}: a quote (") is not closed`);
          if (end - start > MAX_ROW_LENGTH) throw tooLong();
          cell += text.slice(at, end);
          at = end + 1;
          if (text[at] !== '"') break;
          cell += '"';
          at++;
        }
        if (at < text.length && !",\r\n".includes(text[at]!))
          throw new DataError(`${name}, line ${first}: "${text[at]}" after a closing quote`);
      } else {
        const end = endOfCell(text, at);
        if (end - start > MAX_ROW_LENGTH) throw tooLong();
        cell = text.slice(at, end);
        at = end;
      }
      cells.push(cell);
      isLast = text[at] !== ",";
      if (!isLast) at++;
    }
    line += lineEnds(text, start, at);
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    line++;
    if (cells.length > 1 || cells[0]!.trim() !== "") yield { line: first, cells };
  }
}

function endOfCell(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isEnd(text.charCodeAt(at)) && at - from <= MAX_ROW_LENGTH) at++;
  return at;
}

/** A comma or line break. */
const isEnd = (code: number) => code === 0x2c || code === 0x0a || code === 0x0d;

function lineEnds(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
