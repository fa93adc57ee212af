/** Images that take much memory, or unpack to much: how many are decoded at once, and what of a file is unpacked. */
import { expect, test } from "bun:test";
import { crc32, deflateSync } from "node:zlib";
import { decodeRecord } from "../../src/data/decode.ts";
import { DecodingMemory } from "../../src/data/decoding_memory.ts";
import { plainPng } from "../../src/data/png.ts";

const MODULE = new URL("../../src/data/decoding_memory.ts", import.meta.url).href;
const MIB = 2 ** 20;

test("threads decode large images only as far as their memory goes; small ones at any time", async () => {
  const [threads, rounds, total] = [4, 20, 100 * MIB];
  const memory = new DecodingMemory(undefined, total);
  // How many are at it, the most that there were, and a zero to sleep on.
  const counts = new SharedArrayBuffer(12);
  const code = `
    const { DecodingMemory } = await import(${JSON.stringify(MODULE)});
    self.onmessage = ({ data: [shared, counts, pixels, rounds, expected] }) => {
      const memory = new DecodingMemory(shared);
      const numbers = new Int32Array(counts);
      for (let i = 0; i < rounds; i++) {
        memory.use(pixels, () => {
          const running = Atomics.add(numbers, 0, 1) + 1;
          for (let most; running > (most = Atomics.load(numbers, 1));) Atomics.compareExchange(numbers, 1, most, running);
          // Until as many have met as may; then a little longer, for those that may not.
          do Atomics.wait(numbers, 2, 0, 2); while (Atomics.load(numbers, 1) < expected);
          Atomics.sub(numbers, 0, 1);
        });
      }
      postMessage("done");
    };
    postMessage("ready");`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const run = async (pixels: number, expected: number) => {
    new Int32Array(counts).fill(0);
    const workers = Array.from({ length: threads }, () => new Worker(url));
    const heard = (worker: Worker) => new Promise((resolve) => (worker.onmessage = resolve));
    await Promise.all(workers.map(heard));
    const done = workers.map(heard);
    for (const worker of workers) worker.postMessage([memory.shared, counts, pixels, rounds, expected]);
    await Promise.all(done);
    for (const worker of workers) worker.terminate();
    return new Int32Array(counts)[1]!;
  };
  // 44 MB each: two fit. All are given back.
  expect(await run(4 * MIB, 2)).toBe(2);
  expect(new Int32Array(memory.shared)[0]).toBe(100);
  // 91 MB: one at a time.
  expect(await run(8.3 * MIB, 1)).toBe(1);
  expect(await run(1000, threads)).toBe(threads);
});

function chunk(name: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length);
  bytes.write(name, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), 8 + data.length);
  return bytes;
}

function png(side: number, depth: number, colours: number, pixels: Uint8Array, ...others: Buffer[]): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side);
  header.writeUInt32BE(side, 4);
  [header[8], header[9]] = [depth, colours];
  const end = [chunk("IDAT", deflateSync(pixels)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), ...others, ...end]);
}

test("nothing of a PNG is unpacked but its pixels", async () => {
  const side = 32;
  const pixels = Buffer.alloc(side * (1 + 3 * side), 7);
  for (let y = 0; y < side; y++) pixels[y * (1 + 3 * side)] = 0;
  const plain = png(side, 8, 2, pixels);
  const profile = Buffer.concat([Buffer.from("profile\0\0"), deflateSync(Buffer.alloc(4 * MIB))]);
  const text = Buffer.concat([Buffer.from("text\0\0"), deflateSync(Buffer.alloc(4 * MIB))]);
  const full = png(side, 8, 2, pixels, chunk("iCCP", profile), chunk("zTXt", text), chunk("eXIf", Buffer.alloc(8)));
  expect(Buffer.from(plainPng(full)).equals(plain)).toBe(true);
  expect(plainPng(plain)).toBe(plain);
  const [record, expected] = [new Uint8Array(3 * side * side), new Uint8Array(3 * side * side)];
  await decodeRecord({ kind: "encoded", bytes: full }, side, record);
  await decodeRecord({ kind: "encoded", bytes: plain }, side, expected);
  expect(record).toEqual(expected);
  expect(record[0]).toBe(7);
  // Whatever the lengths say, it ends.
  for (let cut = 8; cut < full.length; cut += 997) plainPng(full.subarray(0, cut));
});

test("a PNG that claims to be large is refused before its memory is taken", async () => {
  const claim = png(9999, 16, 6, Buffer.alloc(1000));
  await expect(decodeRecord({ kind: "encoded", bytes: claim }, 32, new Uint8Array(3 * 32 * 32))).rejects.toThrow(
    "it can't be decoded",
  );
});
