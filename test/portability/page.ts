/**
 * Exported pages answer as `predict` does: `TEST_DATA=FOLDER bun test/portability/page.ts [PHOTOS]` takes so many photos
 * (50), half of them from imagenet-sample/ and half from ants-bees/, through EfficientNet-Lite0 with ImageNet's weights, and
 * through a page of it in headless Chromium, on WebAssembly and on WebGPU. Then a page with the network in the box loses
 * its GPU, and must go on without. Exit code 1 where a first class differs, or a probability by more than 0.01.
 */
import { join } from "node:path";
import { exportModel } from "../../src/verbs/export/export.ts";
import { predict } from "../../src/verbs/predict/predict.ts";
import { temporaryFolder } from "../support/folders.ts";
import { openPhotoPage } from "../support/photo_page.ts";

const MODEL = "imagenet";
const TOLERANCE = 0.01;

const data = process.env.TEST_DATA;
const count = Number(process.argv[2] ?? 50);
if (data === undefined || !(count > 0)) {
  process.stderr.write(
    "TEST_DATA=FOLDER bun test/portability/page.ts [PHOTOS]: the folder with imagenet-sample/ and ants-bees/\n",
  );
  process.exit(2);
}

/** Photos from all over a folder. */
function photosIn(folder: string, wanted: number): string[] {
  const found = [...new Bun.Glob("**/*.{jpg,jpeg,JPEG,png}").scanSync({ cwd: folder, absolute: true })].sort();
  return Array.from({ length: wanted }, (_, i) => found[Math.floor((i * found.length) / wanted)]!);
}

const half = Math.ceil(count / 2);
const photos = [...photosIn(join(data, "imagenet-sample"), half), ...photosIn(join(data, "ants-bees"), count - half)];
const folder = temporaryFolder();
let failures = 0;
try {
  const { files } = await exportModel({ model: MODEL, out: join(folder.path, "page.html") });
  const { predictions } = await predict({ images: photos, model: MODEL, device: "cpu" });
  for (const device of ["webassembly", "webgpu"] as const) {
    await using page = await openPhotoPage(files[0]!, device);
    let [largest, seconds] = [0, 0];
    for (const prediction of predictions) {
      if ("error" in prediction) throw new Error(`${prediction.image}: ${prediction.error}`);
      const begun = performance.now();
      const shown = await page.classify(prediction.image);
      seconds += (performance.now() - begun) / 1000;
      const differences = prediction.classes.flatMap(({ name, probability }) => {
        const found = shown.find((each) => each.name === name);
        // Of two classes of about the same probability either may be the fifth.
        return found ? [Math.abs(found.probability - probability)] : [];
      });
      const difference = Math.max(...differences);
      largest = Math.max(largest, difference);
      process.stderr.write(`${device}: ${difference.toFixed(4)} ${prediction.image}\n`);
      if (shown[0]?.name === prediction.classes[0]!.name && difference <= TOLERANCE) continue;
      failures++;
      console.log(
        `${device}: ${prediction.image}: ${JSON.stringify(shown)} instead of ${JSON.stringify(prediction.classes)}`,
      );
    }
    const complaints = await page.complaints();
    failures += complaints.length;
    for (const complaint of complaints) console.log(`${device}: ${complaint}`);
    if (!(await page.text("time")).includes(device === "webgpu" ? "WebGPU" : "WebAssembly")) {
      failures++;
      console.log(`${device}: answered on another device`);
    }
    console.log(
      `${device}: ${photos.length} photos, largest difference ${largest.toFixed(4)}, ` +
        `${(seconds / photos.length).toFixed(2)} s each (${await page.text("state")})`,
    );
  }

  const small = await exportModel({ model: "cifar10", out: join(folder.path, "small.html") });
  await using page = await openPhotoPage(small.files[0]!, "webgpu", true);
  const [before, after] = [await page.classify(photos[0]!), await page.classify(photos[0]!)];
  const state = await page.text("state");
  if (!state.startsWith("The GPU has failed. Ready again: WebAssembly") || before[0]!.name !== after[0]?.name)
    failures++;
  console.log(`a lost GPU: ${state}; ${before[0]!.name} before, ${after[0]?.name} after`);
} finally {
  folder.remove();
}
process.exit(failures === 0 ? 0 : 1);
