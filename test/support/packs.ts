/** Small photos, and packs of them. */
import { join } from "node:path";
import { pack, type PackOptions } from "../../src/verbs/pack/pack.ts";
import type { Files } from "./folders.ts";
import { drawn } from "./images.ts";

export const SIDE = 16;
/** Four images a shard: each pack has several. */
export const small = { side: SIDE, shard: 4, threads: 2 } as const;

/** A smooth picture, another one for each number. */
export const picture = (number: number, width = 24 + (number % 7), height = 20 + (number % 5)) =>
  drawn(width, height, (x, y) => [20 + 4 * x + number, 30 + 5 * y, 200 - 3 * x - number]);

/** 13 images of three classes to train on and 8 to validate with: JPEG, PNG and WebP of several sizes. */
export async function photoFiles(parts: readonly string[] = ["train/", "val/"]): Promise<Files> {
  const files: Record<string, Uint8Array> = {};
  for (const [p, part] of parts.entries()) {
    for (let i = 0; i < 13 - 5 * p; i++) {
      const image = picture(10 * i + p);
      const bytes = [() => image.jpeg(92), () => image.png(), () => image.webpLossless()][i % 3]!;
      files[`${part}class ${"abc"[i % 3]}/${i}.${["jpg", "png", "webp"][i % 3]}`] = await bytes();
    }
  }
  return files;
}

/** Packs the photos in root/photos, or other `data`, to root/name. */
export function packer(root: string) {
  return async (name: string, options: Partial<PackOptions> = {}): Promise<string> => {
    const out = join(root, name);
    await pack({ data: join(root, "photos"), out, ...small, ...options });
    return out;
  };
}
