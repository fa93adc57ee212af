/** The parts of a report about classes: a table of their scores, the confusion matrix, the largest confusions. */
import { count, percent } from "../words.ts";
import { Html, html } from "./page.ts";

export interface PageClasses {
  /** Of which images, for people. */
  readonly note: string;
  readonly scores: readonly PageClass[];
  /** The matrix: for few classes as numbers of images, by true class and answer; for many as a picture, a data URL. */
  readonly matrix: readonly (readonly number[])[] | { readonly source: string; readonly width: number };
  /** Pairs of a class and a wrong answer, the most frequent first. */
  readonly confusions: readonly PageConfusion[];
}

interface PageConfusion {
  readonly right: string;
  readonly answer: string;
  /** How many images of the class have this answer, of how many. */
  readonly images: number;
  readonly of: number;
}

interface PageClass {
  readonly name: string;
  /** Number of images of the class, of images answered with it, and of those that are both. */
  readonly images: number;
  readonly predicted: number;
  readonly right: number;
}

/** The most classes whose scores are shown at once; of more, the worst. */
const SHOWN = 20;
/** The most classes whose matrix is shown as numbers. */
export const NUMBERED = 20;

export function classesCard({ scores, note }: PageClasses): Html {
  const seen = scores.filter(({ images }) => images > 0);
  const recall = ({ right, images }: PageClass) => right / images;
  const few = seen.length <= SHOWN;
  const first = few ? seen : seen.toSorted((a, b) => recall(a) - recall(b)).slice(0, SHOWN);
  return html`<section class="card">
    <h2>${few ? "By class" : `The ${SHOWN} classes with the lowest recall, of ${count(seen.length)}`}</h2>
    <p class="note">${note}</p>
    ${scoresTable(first)}
    ${
      few
        ? html``
        : html`<details>
            <summary>all ${count(seen.length)}</summary>
            ${scoresTable(seen)}
          </details>`
    }
    <p class="note">
      Recall: the share of a class's images that are answered with it. Precision: the share of a class's answers that
      are right.
    </p>
  </section>`;
}

function scoresTable(scores: readonly PageClass[]): Html {
  return html`<table class="classes">
    <tr>
      <th scope="col">class</th>
      <th scope="col">right</th>
      <th scope="col">recall</th>
      <th scope="col">precision</th>
    </tr>
    ${scores.map(
      ({ name, images, predicted, right }) =>
        html`<tr>
          <th scope="row">${name}<span class="bar" style="--share:${percent(right / images)}"></span></th>
          <td>${count(right)} of ${count(images)}</td>
          <td>${percent(right / images)}</td>
          <td>${predicted === 0 ? "–" : percent(right / predicted)}</td>
        </tr>`,
    )}
  </table>`;
}

export function matrixCard({ matrix, scores }: PageClasses): Html {
  const body = "source" in matrix ? matrixPicture(matrix) : matrixTable(matrix, scores);
  return html`<section class="card">
    <h2>Confusion matrix</h2>
    ${body}
    <p class="note">A row for each true class, a column for each answer.</p>
  </section>`;
}

const matrixPicture = ({ source, width }: { readonly source: string; readonly width: number }): Html =>
  html`<img class="diagram" alt="Confusion matrix" src="${new Html(source)}" width="${width}" />`;

function matrixTable(matrix: readonly (readonly number[])[], scores: PageClasses["scores"]): Html {
  const cell = (images: number, row: number, column: number) => {
    const share = images / Math.max(1, scores[row]!.images);
    // The square root makes rare mistakes visible; even the darkest leaves the number readable.
    const depth = images === 0 ? 0 : 0.06 + 0.54 * Math.sqrt(share);
    return html`<td class="${row === column ? "hit" : "miss"}" style="--share:${percent(depth)}">
      ${images === 0 ? "" : count(images)}
    </td>`;
  };
  return html`<div class="scroll">
    <table class="matrix">
      <thead>
        <tr>
          <th></th>
          ${scores.map(({ name }) => html`<th scope="col" title="${name}"><span>${name}</span></th>`)}
        </tr>
      </thead>
      ${matrix.map(
        (row, label) =>
          html`<tr>
            <th scope="row" title="${scores[label]!.name}">${scores[label]!.name}</th>
            ${row.map((images, predicted) => cell(images, label, predicted))}
          </tr>`,
      )}
    </table>
  </div>`;
}

/** Of few classes, the matrix shows them. */
export function confusionsCard({ confusions, matrix }: PageClasses): Html {
  if (!("source" in matrix) || confusions.length === 0) return html``;
  return html`<section class="card">
    <h2>Largest confusions</h2>
    <table class="classes">
      <tr>
        <th scope="col">true class</th>
        <th scope="col">images</th>
        <th scope="col">answer</th>
      </tr>
      ${confusions.map(
        ({ right, answer, images, of }) =>
          html`<tr>
            <th scope="row">${right}</th>
            <td>${count(images)} of ${count(of)}</td>
            <td style="white-space:normal">${answer}</td>
          </tr>`,
      )}
    </table>
  </section>`;
}
