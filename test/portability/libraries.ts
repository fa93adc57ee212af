/**
 * `bun test/portability/libraries.ts linux-arm64 FOLDER`: puts wgpu-native and OpenBLAS for another platform where the
 * checkout in FOLDER looks for them.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../src/io/files.ts";
import { fromArchives } from "../../src/native/archives.ts";
import { fetchWheel } from "../../src/native/download.ts";
import { allowDownloads } from "../../src/native/permission.ts";
import { OPENBLAS, WGPU } from "../../src/native/table.ts";

const [platform, folder] = process.argv.slice(2) as [string, string];
allowDownloads();
for (const { name, version, builds } of [WGPU, OPENBLAS]) {
  const { file, inside, sha256, wheel } = builds[platform]!;
  const found = await fromArchives([["with pip", () => fetchWheel(wheel)]], {
    ...{ archive: "the archive", what: "the library", file, inside, sha256 },
  });
  if (typeof found === "string") throw new Error(found);
  const kept = join(folder, ".cache", "native", `${name}-${version}-${platform}`);
  mkdirSync(kept, { recursive: true });
  replaceFileSync(join(kept, file), found, 0o755);
}
