/** Reliability diagrams: where bars begin and end. */
import { expect, test } from "bun:test";
import { reliabilitySvg } from "../../src/pictures/reliability.ts";

const attributes = (element: string) =>
  Object.fromEntries([...element.matchAll(/([a-z0-9-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));

test("a bar ends at the share that is right, a line at the mean probability; both share a scale", () => {
  const bar = { images: 40, right: 0.5, interval: [0.25, 0.75], confidence: 0.75 } as const;
  const svg = reliabilitySvg([bar, { ...bar, images: 1234, right: 1, interval: [0.9, 1], confidence: 1 }]);
  const [first, second] = (svg.match(/<rect [^>]*>/g) ?? []).map(attributes);
  // The plot is a square of 330 pixels.
  expect(Number(first!.height)).toBe(165);
  expect(Number(second!.height)).toBe(330);
  // Neither is in the last of 15 bins but the one that is certain.
  expect(Number(second!.x) - Number(first!.x)).toBe(3 * 22);
  const lines = (svg.match(/<line [^>]*>/g) ?? []).map(attributes);
  const [claimed] = lines.filter((line) => line["stroke-width"] === "3");
  expect(Number(first!.y) - Number(claimed!.y1)).toBe(0.25 * 330);
  const whisker = lines.find(({ x1, x2, y1 }) => x1 === x2 && Number(y1) === Number(first!.y) + 0.25 * 330);
  expect(Number(whisker!.y1) - Number(whisker!.y2)).toBe(0.5 * 330);
  expect(svg).toContain(">40</text>");
  expect(svg).toContain(">1,234</text>");
});
