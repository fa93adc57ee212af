import { stopOnCtrlC } from "../../cli/interrupt.ts";
import {
  bold,
  count,
  dim,
  duration,
  here,
  percent,
  print,
  printJson,
  ProgressLine,
  table,
} from "../../cli/terminal.ts";
import { deviceArgs, deviceOptions, given, number, verb } from "../../cli/verb.ts";
import { CLAIMS, isRace, type Claim } from "./claims.ts";
import { reproduce } from "./reproduce.ts";
import { describeArm, describeDifference, type ClaimResult } from "./results.ts";

export default verb({
  name: "reproduce",
  description: "Try the paper's claims on CIFAR-10; without a name, list them",
  args: {
    claim: { type: "positional", required: false, description: "Names of claims, or all" },
    data: { type: "string", description: "What to train on, as `train` takes it (cifar10)", valueHint: "PATH" },
    val: { type: "string", description: "What to test with, if that is elsewhere", valueHint: "PATH" },
    seeds: { type: "string", description: "How often each training is done, with seeds 0, 1, … (3)", valueHint: "N" },
    full: { type: "boolean", description: "On all images, for hours, in place of minutes" },
    out: { type: "string", description: "Folder for runs and results (runs/reproduce)", valueHint: "FOLDER" },
    ...deviceArgs,
  },
  many: true,
  async run(args) {
    if (args._.length === 0) {
      list(args.json === true);
      return 0;
    }
    const signal = stopOnCtrlC();
    const line = new ProgressLine();
    const options = given({
      data: args.data,
      val: args.val,
      seeds: number("seeds", args.seeds),
      full: args.full,
      out: args.out,
    });
    let now = "";
    const done = await reproduce(
      { claims: args._, ...options, ...deviceOptions(args) },
      {
        trial: (claim, arm, seed, place, total) => {
          now = `${place} of ${total}, ${claim.name}: ${arm.name}, seed ${seed}`;
          line.update(now);
        },
        training: (event) => {
          if (event.type === "step") {
            line.update(`${now}: epoch ${event.epoch}/${event.epochs}, error ${percent(event.top1)}`);
          }
        },
        claim: (result) => {
          line.clear();
          if (!args.json) show(result);
        },
      },
      signal,
    );
    line.clear();
    if (!done) {
      print("Stopped, and saved: the same command goes on from here");
      return 1;
    }
    if (args.json) printJson(done.results);
    else print(done.files.map(here).join(", "));
    return 0;
  },
});

function list(json: boolean): void {
  if (json) return CLAIMS.forEach(printJson);
  print(table(CLAIMS.map((claim) => [bold(claim.name), claim.says, dim(lengthOf(claim))])));
  print("\nTry some with  bun run reproduce NAME…  or  bun run reproduce all");
}

function lengthOf(claim: Claim): string {
  if (isRace(claim)) return duration(claim.seconds);
  const { epochs, limit } = claim.sizes.default;
  return `2 × ${epochs} epochs${limit === undefined ? "" : ` of ${count(limit)} images`}`;
}

function show(claim: ClaimResult): void {
  print(`${bold(claim.name)}  ${claim.says}`);
  const difference = describeDifference(claim);
  const rows = [["the paper", claim.paper], ...claim.arms.map((arm) => [arm.name, describeArm(claim, arm)])];
  if (difference) rows.push(["difference", bold(difference)]);
  print(table(rows.map((cells) => ["", ...cells])));
}
