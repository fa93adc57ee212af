import { stopOnCtrlC } from "../../cli/interrupt.ts";
import { withRanks } from "../../cli/ranks.ts";
import { sayRemarks } from "../../cli/remarks.ts";
import { bold, count, duration, here, print, printJson, ProgressLine, say, plural } from "../../cli/terminal.ts";
import { given, number, verb } from "../../cli/verb.ts";
import type { Encoding } from "../../data/shard.ts";
import { UsageError } from "../../errors.ts";
import { unlessStopped } from "../../signals.ts";
import { pack, type PackResult } from "./pack.ts";

/** More problems than this are only counted. */
const SHOWN = 10;

export default verb({
  name: "pack",
  description: "Write an image set once as small images of one size, to train on at the speed of the disk",
  args: {
    data: {
      type: "positional",
      required: false,
      description: "What `train` is given: a folder, an archive, ImageNet's archives",
    },
    out: { type: "positional", required: false, description: "The folder to make; packing goes on where it stopped" },
    val: { type: "string", description: "What to validate with, as for `train`", valueHint: "PATH" },
    side: { type: "string", description: "Side of the packed images in pixels (256)", valueHint: "S" },
    shorter: {
      type: "string",
      description: "To which the shorter side is rescaled before the centre is cut out (as --side)",
      valueHint: "S",
    },
    as: {
      type: "string",
      description: "jpeg (about 28 KB an image), or raw (197 KB, five times as fast)",
      valueHint: "jpeg|raw",
    },
    quality: { type: "string", description: "Of JPEG, 1 to 100 (95)", valueHint: "Q" },
    shard: { type: "string", description: "Images a file (from 32 to 1024, by the size of the set)", valueHint: "N" },
    threads: { type: "string", description: "How many threads (all cores)", valueHint: "N" },
  },
  async run(args) {
    const { data, out: folder } = args;
    if (!data || !folder)
      throw new UsageError("pack needs a data set and a folder to make: bun run pack photos/ packed/");
    const signal = stopOnCtrlC("the shards under way");
    const options = given({
      val: args.val,
      side: number("side", args.side),
      shorter: number("shorter", args.shorter),
      encoding: args.as as Encoding | undefined,
      quality: number("quality", args.quality),
      shard: number("shard", args.shard),
      threads: number("threads", args.threads),
    });
    return withRanks(async (ranks) => {
      const line = ranks.rank === 0 ? new ProgressLine() : undefined;
      const result = await unlessStopped(
        signal,
        pack(
          { ...options, data, out: folder },
          ({ done, total, imagesPerSecond }) => {
            const left = duration((total - done) / imagesPerSecond);
            line?.update(
              `packing: ${count(done)} of ${count(total)} images, ${imagesPerSecond.toFixed(0)} images/s, ${left} left`,
            );
          },
          signal,
          (warning) => say.warn(warning),
          ranks,
        ),
      );
      line?.clear();
      if (!result && ranks.rank === 0) say.info(`Stopped. Go on with the same command.`);
      if (!result) return 1;
      if (ranks.rank === 0) show(result, args.json);
      return 0;
    });
  },
});

function show(result: PackResult, asJson: boolean | undefined): void {
  if (asJson) return printJson(result);
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
  print(`Train on it:  bun run train ${here(out)}`);
}
