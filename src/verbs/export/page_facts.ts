/** What an exported page says about its network: from the run that trained it, or from whom the weights come. */
import { statSync } from "node:fs";
import { oneLine } from "../../errors.ts";
import { interval95 } from "../../inference/answers.ts";
import type { Network } from "../../net/recipe.ts";
import { html, type Html } from "../../pictures/page.ts";
import { VERSION } from "../../program.ts";
import { readHistory } from "../../runs/history.ts";
import { pretrainedAt } from "../../runs/pretrained.ts";
import type { Run } from "../../runs/runs.ts";
import type { Weights } from "../../runs/weights.ts";
import { count, percent, plural } from "../../words.ts";

export interface PageFacts {
  readonly title: string;
  /** A line about the network. */
  readonly subtitle: string;
  /** What it knows, and how good it is. */
  readonly about: Html;
  /** By what it was made, and the weights' licence. */
  readonly footer: string;
}

/** The title asks for so many classes by their names. */
const ASKED = 4;
const LONGEST_TITLE = 60;
/** More are folded away. */
const LISTED = 12;

export function factsOf(weights: Weights, network: Network, classes: readonly string[]): PageFacts {
  const names = classes.map(oneLine);
  const score = weights.run && scoreOf(weights.run);
  const origin = originOf(weights);
  const size = plural(classes.length, "class", "classes");
  return {
    title: titleOf(names),
    subtitle: [network.name, size, score?.short].filter(Boolean).join(" · "),
    about: html`<h2>About the network</h2>
      ${score ? html`<p>${score.long}</p>` : ""} ${origin ? html`<p>${origin}</p>` : ""} ${knownTo(names)}`,
    footer: `Made with alexnet ${VERSION}. This file is all there is: it asks no server for anything.`,
  };
}

/** "Ants or bees?" */
function titleOf(names: readonly string[]): string {
  const asked = `${names.slice(0, -1).join(", ")} or ${names.at(-1)!}?`;
  if (names.length > ASKED || asked.length > LONGEST_TITLE) return "What is in the photo?";
  return asked[0]!.toUpperCase() + asked.slice(1);
}

function knownTo(names: readonly string[]): Html {
  if (names.length <= LISTED) return html`<p>It chooses among ${listed(names)}.</p>`;
  return html`<details>
    <summary>The ${count(names.length)} classes that it chooses among</summary>
    <p class="note names">${names.map((name) => html`<span>${name}</span>`)}</p>
  </details>`;
}

/** "ants, bees and wasps" */
const listed = (names: readonly string[]): string => `${names.slice(0, -1).join(", ")} and ${names.at(-1)!}`;

/** What the best epoch of the run reached, as its report says it. */
function scoreOf(run: Run): { readonly short: string; readonly long: string } | undefined {
  const { epochs } = readHistory(run);
  if (epochs.length === 0) return undefined;
  const error = Math.min(...epochs.map(({ val }) => val.top1));
  const accuracy = percent(1 - error);
  const short = `accuracy ${accuracy}`;
  const images = run.readConfusion()?.entries.reduce((sum, [, , images]) => sum + images, 0);
  const date = statSync(run.best).mtime.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  const end = `Trained until ${date}.`;
  if (!images) return { short, long: `Accuracy on its validation photos: ${accuracy}. ${end}` };
  const [low, high] = interval95(Math.round(error * images), images);
  const interval = `95% interval: ${percent(1 - high)} to ${percent(1 - low)}`;
  return { short, long: `Accuracy: ${accuracy} of ${plural(images, "validation photo")} (${interval}). ${end}` };
}

/** Whose weights they are, or were at first, and their licence; undefined for those that were trained here from nothing. */
function originOf({ path, origin, run, config }: Weights): string | undefined {
  const own = pretrainedAt(path);
  if (own) return `${own.title}. Licence of the weights: ${own.licence}.`;
  if (origin === "box") return "Weights that come with alexnet. Their licence: MIT.";
  const from = run && config().from;
  const first = from ? pretrainedAt(from) : undefined;
  return first && `It began as ${first.title}. Licence of those weights: ${first.licence}.`;
}
