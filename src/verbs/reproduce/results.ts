/** What a list of claims came to: as JSON, and as a table in Markdown. */
import { markdownTable } from "../../io/markdown.ts";
import { percent, plural } from "../../words.ts";
import type { Size } from "./claims.ts";
import type { Outcome } from "./trial.ts";

/** An arm of a claim, with a result for each seed. */
export interface ArmResult {
  readonly name: string;
  /** How to train it without this list; SEED is each of the seeds. */
  readonly command: string;
  readonly outcomes: readonly Outcome[];
}

export interface ClaimResult {
  readonly name: string;
  readonly says: string;
  readonly paper: string;
  /** For a race, how many seconds it may take. */
  readonly seconds?: number;
  /** Whether the arms race to a training error, and are not compared by their test errors. */
  readonly until?: { readonly trainError: number };
  readonly size?: Size;
  readonly arms: readonly ArmResult[];
}

export interface Results {
  readonly size: "default" | "full";
  readonly data: string;
  readonly devices: readonly string[];
  readonly processor: string;
  readonly bun: string;
  readonly date: string;
  readonly claims: readonly ClaimResult[];
}

/** What of an outcome counts: a test error, or epochs; null where it was not reached, or came too late. */
export function figureOf({ seconds, until }: ClaimResult, outcome: Outcome): number | null {
  if (until) return outcome.reached ? outcome.epochs : null;
  return seconds !== undefined && outcome.seconds > seconds ? null : outcome.testError;
}

/** "36.1% (35.8–36.5)", "7 epochs (6–8)"; with the training error where test errors are compared. */
export function describeArm(claim: ClaimResult, { outcomes }: ArmResult): string {
  const figures = outcomes.map((outcome) => figureOf(claim, outcome));
  const known = figures.filter((figure) => figure !== null);
  const missed = figures.length - known.length;
  const late =
    missed === 0
      ? ""
      : claim.until
        ? `${missed} not there after ${plural(outcomes[0]!.epochs, "epoch")}`
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
 * The second arm against the first, seed by seed: "1.4 points more (0.9 to 2.0)", "5.1 times as many (4.8 to 5.5)".
 * Empty for a race, or when a figure is missing.
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
  const head = ["claim", "paper", "here: mean of the seeds (least–most)", "difference, seed by seed"];
  return markdownTable([head, ...rows]);
}
