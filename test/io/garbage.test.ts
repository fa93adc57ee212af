/** Memory that is no longer needed is collected after every 64 MB, in the threads that drop it. */
import { afterEach, expect, spyOn, test } from "bun:test";
import { withOwnMemory } from "../../src/data/decoding.ts";
import { dropped } from "../../src/io/garbage.ts";
import { imageOf } from "../../src/verbs/serve/upload.ts";
import { figurePng } from "../support/images.ts";

const collect = spyOn(Bun, "gc").mockImplementation(() => {});
afterEach(() => void collect.mockClear());

const MB = 2 ** 20;
/** How often it is collected while this is dropped, after a collection. */
async function collections(drop: () => unknown, times: number): Promise<number> {
  dropped(64 * MB);
  collect.mockClear();
  for (let i = 0; i < times; i++) await drop();
  return collect.mock.calls.length;
}

test("once for every 64 MB", async () => {
  expect(await collections(() => dropped(16 * MB), 3)).toBe(0);
  expect(await collections(() => dropped(16 * MB), 11)).toBe(2);
  expect(collect.mock.calls).toEqual([[true], [true]]);
});

test("copies that are sent to threads count", async () => {
  const bytes = new Uint8Array(8 * MB);
  expect(await collections(() => withOwnMemory({ kind: "encoded", bytes }), 9)).toBe(1);
  expect(await collections(() => withOwnMemory({ kind: "pixels", pixels: bytes, width: 1, height: 1 }), 9)).toBe(1);
});

test("so do received bodies, each with its pieces, be they images or not", async () => {
  const { signal } = new AbortController();
  const image = new Uint8Array(4 * MB);
  image.set(figurePng(0, 0));
  const request = (body: Uint8Array<ArrayBuffer>) =>
    new Request("http://localhost/", { method: "POST", body, headers: { "content-type": "image/png" } });
  expect(await collections(() => imageOf(request(image), 5 * MB, signal), 17)).toBe(2);
  const nothing = () => imageOf(request(new Uint8Array(4 * MB)), 5 * MB, signal).catch(() => {});
  expect(await collections(nothing, 9)).toBe(1);
});
