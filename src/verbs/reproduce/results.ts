/** The results of claims: as JSON, in words, and as a Markdown table. */
import { markdownTable } from "../../io/markdown.ts";
import { percent, plural } from "../../words.ts";
import type { Size } from "./claims.ts";
import type { TrialOutcome } from "./trial.ts";

/** An arm of a claim, with an outcome for each seed. */
export interface ArmResult {
  readonly name: string;
  /** The command that trains it; SEED stands for each seed. */
  readonly command: string;
  readonly outcomes: readonly TrialOutcome[];
}

export interface ClaimResult {
  readonly name: string;
  readonly says: string;
  readonly paper: string;
  /** Of a race, its time limit. */
  readonly seconds?: number;
  /** If the arms are compared by the epochs to this training error, not by test errors. */
  readonly until?: { readonly trainError: number };
  readonly size?: Size;
  readonly arms: readonly ArmResult[];
}

export interface Results {
  readonly size: "default" | "full";
  readonly data: string;
  readonly devices: readonly string[];
  readonly processor: string;
  /** With a race: what the device does in products of 1024 × 1024 matrices, in float32. */
  readonly gflops?: number;
  readonly bun: string;
  readonly date: string;
  readonly claims: readonly ClaimResult[];
}

/** The figure compared: test error, or epochs; null if the goal was not reached, or not in time. */
export function figureOf({ seconds, until }: ClaimResult, outcome: TrialOutcome): number | null {
  if (until) return outcome.reached ? outcome.epochs : null;
  return seconds !== undefined && outcome.seconds > seconds ? null : outcome.testError;
}

/** "36.1% (35.8–36.5), training 20.3%", or "7 epochs (6–8)". */
export function describeArm(claim: ClaimResult, { outcomes }: ArmResult): string {
  const figures = outcomes.map((outcome) => figureOf(claim, outcome));
  const known = figures.filter((figure) => figure !== null);
  const missed = figures.length - known.length;
  const late =
    missed === 0
      ? ""
      : claim.until
        ? `${missed} not reached after ${plural(outcomes[0]!.epochs, "epoch")}`
        : `${missed} too late`;
  if (known.length === 0) return late;
  const write = claim.until ? (value: number) => String(Number(value.toFixed(1))) : percent;
  const unit = claim.until ? " epochs" : "";
  const range = known.length > 1 ? ` (${write(Math.min(...known))}–${write(Math.max(...known))})` : "";
  const notes = [
    ...(late ? [late] : []),
    ...(claim.until || claim.seconds !== undefined
      ? []
      : [`training ${percent(mean(outcomes.map((each) => each.trainError)))}`]),
  ];
  return [`${write(mean(known))}${unit}${range}`, ...notes].join(", ");
}

/**
 * The second arm compared with the first, seed by seed: "+1.4 points (0.9 to 2.0)", "5.1 times as many (4.8 to 5.5)".
 * Empty for a race, or if a figure is missing.
 */
export function describeDifference(claim: ClaimResult): string {
  const [first, second] = claim.arms;
  if (!first || !second) return "";
  const pairs = first.outcomes.map(
    (outcome, i) => [figureOf(claim, outcome), figureOf(claim, second.outcomes[i]!)] as const,
  );
  if (pairs.some((pair) => pair.includes(null))) return "";
  const differences = pairs.map(([a, b]) => (claim.until ? b! / a! : 100 * (b! - a!)));
  const write = (value: number) => value.toFixed(1).replace("-", "−");
  const range =
    differences.length > 1 ? ` (${write(Math.min(...differences))} to ${write(Math.max(...differences))})` : "";
  const middle = mean(differences);
  if (claim.until) return `${write(middle)} times as many${range}`;
  return `${middle < 0 ? "" : "+"}${write(middle)} points${range}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A row for each arm. */
export function markdown({ claims }: Pick<Results, "claims">): string {
  const rows = claims.flatMap((claim) =>
    claim.arms.map((arm, i) => [
      i === 0 ? `\`${claim.name}\`` : "",
      i === 0 ? claim.paper : "",
      `${arm.name}: ${describeArm(claim, arm)}`,
      i === 1 ? describeDifference(claim) : "",
    ]),
  );
  const head = ["claim", "paper", "here: mean over seeds (min–max)", "difference, seed by seed"];
  return markdownTable([head, ...rows]);
}
