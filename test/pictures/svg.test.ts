/** Text on pictures: it stays where it should, whatever it says. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Transformer } from "@napi-rs/image";
import { cleanText } from "../../src/pictures/clean_text.ts";
import { document, renderPng, shorten, text, widthOf, wrap } from "../../src/pictures/svg.ts";

setDefaultTimeout(60_000);

const STYLE = { size: 20 };
const HOSTILE = `</text><rect width="300" height="60" fill="#ff0000"/><!-- & ]]> <![CDATA["'`;

/** The columns with ink, first and last, of a picture of 600 × 60; the colours other than greys in it. */
async function render(...parts: string[]): Promise<{ from: number; to: number; coloured: number }> {
  const rgba = await new Transformer(await renderPng(document(600, 60, parts))).rawPixels();
  let [from, to, coloured] = [600, 0, 0];
  for (let i = 0; i < rgba.length; i += 4) {
    const [red, green, blue] = rgba.subarray(i, i + 3) as unknown as [number, number, number];
    if (red !== green || green !== blue) coloured++;
    if (red > 200) continue;
    const x = (i / 4) % 600;
    [from, to] = [Math.min(from, x), Math.max(to, x)];
  }
  return { from, to, coloured };
}

test("markup is text", async () => {
  const { to, coloured } = await render(text(0, 40, HOSTILE, { size: 8 }));
  expect(coloured).toBe(0);
  expect(to).toBeGreaterThan(200);
});

test("control characters, marks of direction and half characters are gone; white space is a space", () => {
  expect(cleanText("a\u0000b\u001b[1m\u0007\u202ec\u2066\ufeff")).toBe("ab[1mc");
  expect(cleanText("  one\n\ttwo\u2028three ")).toBe("one two three");
  expect(cleanText("x\ud800y\uffff")).toBe("x\ufffdy");
});

test("any text can be rendered", async () => {
  const line = (first: number) => String.fromCharCode(...Array.from({ length: 512 }, (_, i) => first + i));
  // All but the ideographs: controls, marks, private and unassigned ones, halves of characters.
  const blocks = Array.from({ length: 0x10000 / 512 }, (_, i) => 512 * i).filter((i) => i < 0x3000 || i >= 0xd800);
  const lines = blocks.map((first) => text(0, 40, line(first), STYLE));
  // Neither halves of characters nor controls, which are no XML, and all the rest is drawn, beyond the right edge.
  expect(lines.join("")).toBe(lines.join("").toWellFormed());
  expect(lines.filter((each) => /\p{Cc}/u.test(each))).toEqual([]);
  expect((await render(...lines)).to).toBe(599);
});

test("widths are those of what is drawn", async () => {
  for (const words of ["illicit lily", "WWW and MMM", "naïve Ærøskøbing", "a  b", "Ωμέγα"]) {
    const { to } = await render(text(0, 40, words, STYLE));
    expect(Math.abs(widthOf(words, STYLE) - to)).toBeLessThan(4);
  }
  const bold = { ...STYLE, bold: true };
  const { to } = await render(text(0, 40, "Bold words", bold));
  expect(Math.abs(widthOf("Bold words", bold) - to)).toBeLessThan(4);
  expect(widthOf("Bold words", bold)).toBeGreaterThan(widthOf("Bold words", STYLE) + 4);
});

test("shortened text has as much as there is room for, and no more", async () => {
  for (const words of ["W".repeat(100), "i".repeat(300), "a long name, and then some more of it to be cut off"]) {
    for (const keep of ["start", "both"] as const) {
      const short = shorten(words, 200, STYLE, keep);
      expect(widthOf(short, STYLE)).toBeWithin(170, 200.001);
      expect((await render(text(0, 40, short, STYLE))).to).toBeLessThanOrEqual(200);
    }
  }
  expect(shorten("image_0123456789.jpg", 120, STYLE, "both")).toMatch(/^image.*….*\.jpg$/);
  expect(shorten("fits", 120, STYLE)).toBe("fits");
  expect(shorten("anything", 1, STYLE)).toBe("…");
  expect(shorten("日本語".repeat(20), 200, STYLE)).toMatch(/^(日本語)+日?本?…$/);
});

// In a time that grows with the square of its length this would take far longer than a test may.
test("a megabyte of text is cut", () => {
  const short = shorten(`begin ${"x".repeat(2 ** 20)} end`, 200, STYLE, "both");
  expect(short).toMatch(/^begin x*…x* end$/);
  expect(wrap("y ".repeat(2 ** 19), 200, 3, STYLE).length).toBe(3);
});

test("letters that are several characters stay whole", () => {
  const family = "👩‍👩‍👧";
  const short = shorten(family.repeat(30), 200, STYLE);
  expect(short.replaceAll(family, "")).toBe("…");
});

test("lines break between words, and the last one says that there was more", () => {
  const all = "great white shark, white shark, man-eater, man-eating shark";
  const lines = wrap(all, 180, 3, STYLE);
  expect(lines.length).toBe(3);
  expect(lines.join(" ")).toEndWith("…");
  expect(all).toStartWith(lines.join(" ").slice(0, -1));
  for (const line of lines) expect(widthOf(line, STYLE)).toBeWithin(100, 180.001);
  expect(lines[1]).toBe("shark, white");
  expect(wrap("short", 180, 3, STYLE)).toEqual(["short"]);
});
