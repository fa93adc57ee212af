/** The head of a picture about one image: a title, and a line of facts below it. */
import { shorten, text, type TextStyle } from "./svg.ts";

export const INK = "#1c1c1c";
export const FACT: TextStyle = { size: 13, colour: "#6e6e6e" };
const TITLE: TextStyle = { size: 20, bold: true, colour: INK };

export const MARGIN = 32;
/** Where what follows begins. */
export const HEAD = 92;

/** @param width of the picture, margins included */
export function heading(title: string, fact: string, width: number): string[] {
  const room = width - 2 * MARGIN;
  return [
    text(MARGIN, 46, shorten(title, room, TITLE, "both"), TITLE),
    text(MARGIN, 70, shorten(fact, room, FACT, "both"), FACT),
  ];
}
