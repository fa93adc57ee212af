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
  tableOrList,
} from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { command } from "../../program.ts";
import { CLAIMS, isRace, type Claim } from "./claims.ts";
import { reproduce, REPRODUCE_OPTIONS, type ReproduceEvent } from "./reproduce.ts";
import { describeArm, describeDifference, type ClaimResult } from "./results.ts";

export default verb({
  description: "Try the paper's claims on CIFAR-10; without a claim, list them",
  options: REPRODUCE_OPTIONS,
  finishes: "this step",
  async run(options, { json = false }, { signal }) {
    if (options.claims.length === 0) return list(json);
    const line = new ProgressLine();
    let now = "";
    const onEvent = (event: ReproduceEvent) => {
      if (event.type === "trial") {
        const { claim, arm, seed, number, total } = event;
        now = `${number} of ${total}, ${claim.name}: ${arm.name}, seed ${seed}`;
        line.update(now);
      } else if (event.type === "step") {
        const { epoch, epochs, batch, batches, top1 } = event;
        const share = (epoch - 1 + batch / batches) / epochs;
        line.update({ label: now, share, facts: [`epoch ${epoch}/${epochs}`, `accuracy ${percent(1 - top1)}`] });
      } else if (event.type === "claim" && !json) show(event.result);
    };
    const done = await reproduce({ ...options, signal, onEvent });
    if (!done) {
      print("Stopped and saved. Run the same command to continue.");
      return 1;
    }
    if (json) printJson(done.results);
    else print(done.files.map(here).join(", "));
  },
});

function list(json: boolean): void {
  if (json) return CLAIMS.forEach(printJson);
  print(tableOrList(CLAIMS.map((claim) => [bold(claim.name), claim.says, dim(lengthOf(claim))])));
  print(`\nTry some with  ${command("reproduce NAME…")}  or  ${command("reproduce all")}`);
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
  print(tableOrList(rows.map(([name, ...cells]) => [`  ${name}`, ...cells])));
}
