/** A command's help, laid out for the terminal's width. */
import { nameOf, type Option, type Schema } from "../schema.ts";
import { columns } from "./layout.ts";
import { bold, cyan } from "./terminal.ts";

/** Without a terminal; and lines longer than this are hard to read. */
const USUAL = 80;
const MOST = 100;
/** Names longer than this stand on a line of their own. */
const NAME = 22;
/** On narrower terminals, what options are for stands below their names. */
const LEAST = 56;

/** @param name as it is typed: "bun run train" */
export function helpText(name: string, description: string, schema: Schema): string {
  const width = Math.min(MOST, columns() === Infinity ? USUAL : columns());
  const options = Object.entries(schema).filter(([, { help }]) => help !== undefined);
  const places = options.filter(([, { place }]) => place);
  const words = places.map(([key, option]) => placeOf(key, option));
  const sections = [
    Bun.wrapAnsi(description, width),
    `${bold("Usage:")} ${[name, "[options]", ...words].join(" ")}`,
    ...(places.length > 0
      ? [
          rows(
            places.map(([key, option]) => [placeName(key, option), option.help!]),
            width,
          ),
        ]
      : []),
    `${bold("Options:")}\n${rows(
      options.filter(([, { place }]) => !place).map(([key, option]) => [flagOf(key, option), option.help!]),
      width,
    )}`,
  ];
  return sections.join("\n\n");
}

function placeName(key: string, option: Option): string {
  return `${nameOf(key, option).toUpperCase()}${option.place === "word" ? "" : "…"}`;
}

function placeOf(key: string, option: Option): string {
  const name = placeName(key, option);
  return option.needed && option.place !== "any" ? name : `[${name}]`;
}

function flagOf(key: string, option: Option): string {
  const flag = `--${nameOf(key, option)}`;
  if (option.isSwitch) return flag;
  const value = option.hint ?? "VALUE";
  return option.bare === undefined ? `${flag} ${value}` : `${flag} [${value}]`;
}

/** Names, and beside each what it is for. */
function rows(pairs: readonly (readonly [name: string, text: string])[], width: number): string {
  if (width < LEAST) return pairs.map(([name, text]) => `  ${cyan(name)}\n${wrapped(text, width, 6)}`).join("\n");
  const longest = Math.max(...pairs.map(([name]) => name.length));
  const left = 4 + Math.min(NAME, longest);
  return pairs
    .map(([name, text]) => {
      const below = wrapped(text, width, left);
      const start = `  ${cyan(name)}`;
      return name.length > NAME
        ? `${start}\n${below}`
        : start.padEnd(left + start.length - name.length - 2) + below.trimStart();
    })
    .join("\n");
}

function wrapped(text: string, width: number, indent: number): string {
  return Bun.wrapAnsi(text, width - indent).replaceAll(/^/gm, " ".repeat(indent));
}
