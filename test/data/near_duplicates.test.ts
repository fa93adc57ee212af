/** Near-duplicates: found after all that is done to photos in passing on, and nothing else. */
import { expect, test } from "bun:test";
import { Transformer } from "@napi-rs/image";
import { decodeRecord } from "../../src/data/decode.ts";
import { Fingerprints, nearDuplicates } from "../../src/data/near_duplicates.ts";
import { Purpose, Random } from "../../src/random.ts";
import { drawn } from "../support/images.ts";

const SIDE = 64;

/** A picture of smooth random patches, as a function of the place from 0 to 1; `noise` changes it a little. */
function scene(seed: number, noise = 0) {
  const random = new Random(seed, Purpose.drawing, 1);
  const other = new Random(seed, Purpose.drawing, 2, noise);
  const waves = Array.from({ length: 12 }, () => {
    const [fx, fy, phase, size] = [random.uniform(), random.uniform(), random.uniform(), random.uniform()];
    return [8 * fx, 8 * (fy - 0.5), 2 * Math.PI * phase, 30 * size + noise * (other.uniform() - 0.5)] as const;
  });
  return (x: number, y: number) =>
    waves.reduce((sum, [fx, fy, phase, size]) => sum + size * Math.cos(Math.PI * (fx * x + fy * y) + phase), 128);
}

type Scene = ReturnType<typeof scene>;
const picture = (of: Scene, width = 96, height = 80): Transformer =>
  drawn(width, height, (x, y) => Array(3).fill(Math.min(255, Math.max(0, of(x / width, y / height)))));

async function prints(images: readonly (Uint8Array | Scene)[]): Promise<Fingerprints> {
  const found = new Fingerprints(images.length);
  const record = new Uint8Array(SIDE * SIDE * 3);
  for (const [i, image] of images.entries()) {
    const bytes = image instanceof Uint8Array ? image : await picture(image).png();
    await decodeRecord({ kind: "encoded", bytes }, SIDE, record);
    found.add(i, record, SIDE);
  }
  return found;
}

const scenes = Array.from({ length: 30 }, (_, seed) => scene(seed));

test("a photo is found again when it was saved again, resized, made brighter, mirrored; others are not", async () => {
  const train = await prints(scenes);
  const val = await prints([
    await picture(scenes[3]!).jpeg(30),
    await picture(scenes[7]!, 48, 40).png(),
    (x, y) => 1.1 * scenes[11]!(x, y),
    (x, y) => 0.8 * scenes[11]!(x, y) + 10,
    (x, y) => scenes[20]!(1 - x, y),
    scene(100),
    (x, y) => scenes[21]!(x, 1 - y),
  ]);
  expect(nearDuplicates(train, val)).toEqual([3, 7, 11, 11, 20].map((train, val) => ({ train, val })));
  // In one set, each is compared with those before it.
  expect(nearDuplicates(train, train)).toEqual([]);
  expect(nearDuplicates(val, val)).toEqual([{ train: 2, val: 3 }]);
});

test("images without anything on them are no duplicates of each other", async () => {
  const flat = await prints([() => 255, () => 255, (x) => 100 + 2 * x, () => 0]);
  expect(nearDuplicates(flat, flat)).toEqual([]);
  expect([0, 1, 2, 3].map((i) => flat.has(i))).toEqual([false, false, false, false]);
});

test("what shares a byte of the hash is all that is within seven bits", async () => {
  const varied = (noise: number) => Array.from({ length: 40 }, (_, i) => scene(i % 8, noise * (1 + (i % 5))));
  const [train, val] = [await prints(varied(4)), await prints(varied(9))];
  const bits = (a: number, b: number) =>
    [0, 1].reduce((sum, word) => {
      const differing = (val.hashes[2 * a + word]! ^ train.hashes[2 * b + word]!) >>> 0;
      return sum + differing.toString(2).replaceAll("0", "").length;
    }, 0);
  const all = Array.from({ length: 40 }, (_, k) => k);
  const alike = (i: number, k: number) => bits(i, k) <= 7 && val.correlation(i, train, k, false) >= 0.95;
  const expected = all.filter((i) => all.some((k) => alike(i, k)));
  const found = nearDuplicates(train, val);
  expect(found.map(({ val }) => val)).toEqual(expected);
  expect(expected.length).toBeWithin(5, 40);
  for (const pair of found)
    expect(bits(pair.val, pair.train)).toBe(
      Math.min(...all.filter((k) => alike(pair.val, k)).map((k) => bits(pair.val, k))),
    );
});
