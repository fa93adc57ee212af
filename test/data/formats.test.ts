/**
 * Files of every kind that Pillow reads (test/golden/formats.py): the same pixels, or a refusal. JPEGs by the native
 * libjpeg-turbo and by the WebAssembly build, which must not differ in anything.
 */
import { describe, expect, test } from "bun:test";
import { Decoder } from "../../src/data/decode.ts";
import { openJpeg } from "../../src/data/jpeg.ts";
import { findTurbojpeg, openTurbojpeg } from "../../src/native/turbojpeg.ts";
import { openTurbojpegWasm } from "../../src/native/turbojpeg_wasm.ts";
import { loadKernels } from "../../src/wasm/build.ts";
import formats from "../golden/formats.json";
import { outcome } from "../support/decoding.ts";
import { golden, goldenPicture } from "../support/golden_pictures.ts";
import { mutate } from "../support/mutate.ts";

const kernels = await loadKernels();
const libraries = { native: openTurbojpeg(), WebAssembly: openTurbojpegWasm() };

/** What Pillow reads, and this program does not. */
const REFUSED: Readonly<Record<string, string>> = {
  "jpeg half a scan, and an end": "it can't be decoded: Corrupt JPEG data: premature end of data segment",
  "jpeg lossless, grey": "it can't be decoded: Unsupported color conversion request",
  "png palette missing":
    "it can't be decoded: Decode image failed Format error decoding Png: Missing palette of indexed image.",
  "webp lossless, a frame smaller than the animation": "the first frame of its animation does not cover the canvas",
  "webp lossy, a frame smaller than the animation": "the first frame of its animation does not cover the canvas",
  "webp lossy, quality 10, a frame smaller than the animation":
    "the first frame of its animation does not cover the canvas",
};

const files = formats.files.map(({ file, ...rest }) => ({ ...rest, bytes: Buffer.from(file, "base64") }));
const isJpeg = ({ bytes }: { bytes: Uint8Array }) => bytes[0] === 0xff;

describe.each(Object.entries(libraries))("%s", (name, library) => {
  const decoder = new Decoder(kernels, openJpeg(library));

  test.each(name === "native" ? files : files.filter(isJpeg))("$name", ({ name, side, sha256, bytes }) => {
    const { record, message } = outcome(decoder, bytes, side ?? 9);
    const refusal = REFUSED[name];
    if (refusal !== undefined || sha256 === null) {
      expect(record).toBeUndefined();
      expect(message).toMatch(/^[^\n]+$/);
      if (refusal !== undefined) expect(message).toBe(refusal);
    } else {
      expect(message ?? "").not.toContain("\n");
      expect(record && new Bun.CryptoHasher("sha256").update(record).digest("hex").slice(0, 16)).toBe(sha256);
    }
  });
});

// Without a native library there would be nothing to compare.
describe.skipIf(findTurbojpeg() === undefined)("native and WebAssembly", () => {
  const codecs = Object.values(libraries).map((library) => openJpeg(library));

  test("of damaged files the same ones are refused, and the same is remarked", () => {
    const decoders = codecs.map((codec) => new Decoder(kernels, codec));
    let refused = 0;
    for (const [name, { base64 }] of Object.entries(golden.files)) {
      const whole = Buffer.from(base64, "base64");
      for (let round = 0; round < 200; round++) {
        const damaged = mutate(whole, round);
        const [native, wasm] = decoders.map((decoder) => outcome(decoder, damaged, 16));
        expect(`${name} ${round}: ${wasm!.message}`).toBe(`${name} ${round}: ${native!.message}`);
        expect(wasm!.record === undefined).toBe(native!.record === undefined);
        if (native!.record === undefined) refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  test.each([1, 50, 90, 100])("the same file is written with quality %i", (quality) => {
    const pixels = goldenPicture(61, 43);
    const [native, wasm] = codecs.map((codec) => codec.encode(pixels, 61, 43, quality));
    expect(Buffer.from(wasm!).equals(native!)).toBe(true);
  });
});
