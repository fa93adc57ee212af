import { sayRemarks } from "../../cli/remarks.ts";
import { bold, count, here, plural, print, printJson, say } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { command } from "../../program.ts";
import { pack, PACK_OPTIONS, type PackResult } from "./pack.ts";

/** More problems than this are only counted. */
const SHOWN = 10;

export default verb({
  description: "Write an image set as shards of small images of one size, which load at the speed of the disk",
  options: PACK_OPTIONS,
  isShared: true,
  finishes: "the current shards",
  stopped: "Stopped. Run the same command to continue.",
  async run(options, { json }, context) {
    const result = await pack({ ...options, ...context });
    if (context.ranks.rank !== 0) return;
    if (json) printJson(result);
    else show(result);
  },
});

function show(result: PackResult): void {
  const { out, encoding, side, train, val, classes, shards, bytes, problems, packed, imagesPerSecond } = result;
  sayRemarks(result.remarks);
  for (const { name, problem, used } of problems.slice(0, SHOWN)) {
    say.warn(`${used ? "" : "skipped "}${name}: ${problem}`);
  }
  if (problems.length > SHOWN) say.warn(`and ${count(problems.length - SHOWN)} more, see ${here(out)}/report.csv`);
  const parts =
    val > 0 ? `${plural(train, "image")} to train on, ${count(val)} to validate with` : plural(train, "image");
  print(`${bold(here(out))}: ${parts}, ${plural(classes, "class", "classes")}`);
  const size = bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
  const rate = packed > 0 ? `, packed at ${imagesPerSecond.toFixed(0)} images/s` : ", packed before";
  print(`${side} × ${side} ${encoding === "jpeg" ? "JPEG" : "pixels"}, ${size} in ${plural(shards, "shard")}${rate}`);
  print(`Train on it:  ${command("train", here(out))}`);
}
