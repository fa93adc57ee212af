/** What a page's file holds is read as the program reads its own files. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exportModel } from "../../../src/verbs/export/export.ts";
import { fromHalf, tensorsIn, unpack } from "../../../src/web/photo/unpack.ts";
import { openSafetensors } from "../../../src/weights/safetensors.ts";
import { temporaryFolder } from "../../support/folders.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

test("every number of half precision", () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
  const exact = new Float32Array(new Float16Array(halves.buffer));
  // As numbers: there are many NaNs.
  expect([...fromHalf(halves)]).toEqual([...exact]);
});

test("compressed bytes, with the white space that the page has around them", async () => {
  const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * i) % 253);
  const packed = Buffer.from(Bun.gzipSync(bytes)).toString("base64");
  expect(await unpack(`\n  ${packed}\n`)).toEqual(bytes);
});

test("the tensors and metadata of a checkpoint", async () => {
  const { files } = await exportModel({
    model: "cifar10",
    as: "checkpoint",
    half: true,
    out: join(folder.path, "half"),
  });
  using file = openSafetensors(files[0]!);
  const page = tensorsIn(new Uint8Array(readFileSync(files[0]!)));
  expect(page.metadata).toMatchObject(file.metadata);
  expect([...page.tensors.keys()]).toEqual([...file.tensors.keys()]);
  for (const [name, { shape, read }] of file.tensors) {
    const found = page.tensors.get(name)!;
    expect(found.shape).toEqual(shape);
    expect(found.read()).toEqual(read());
  }
});
