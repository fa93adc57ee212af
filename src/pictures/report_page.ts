/**
 * The report page of a run: one self-contained file. It has no scripts and loads nothing, and its content security policy
 * forbids both, so that even a malicious class name that got through as markup could do nothing.
 */
import { percent } from "../words.ts";
import { Html, html, STYLE } from "./page.ts";

interface ReportPage {
  readonly title: string;
  readonly subtitle: string;
  /** The key numbers at the top: name, value and a note. */
  readonly tiles: readonly { readonly name: string; readonly value: string; readonly note: string }[];
  /** SVG elements, made by `chartSvg`. */
  readonly charts: readonly { readonly name: string; readonly svg: string }[];
  readonly pictures: readonly PagePicture[];
  /** Answers that were wrong, and answers that were right. */
  readonly answers?: PageAnswers;
  readonly tables: readonly { readonly name: string; readonly rows: readonly (readonly [string, string])[] }[];
  /** A header row, and rows of numbers. */
  readonly epochs: { readonly names: readonly string[]; readonly rows: readonly (readonly string[])[] };
  /** Files in the page's folder, with descriptions. */
  readonly files: readonly { readonly name: string; readonly about: string }[];
}

export interface PagePicture {
  readonly name: string;
  readonly note: string;
  /** A data URL. */
  readonly source: string;
  /** Width in CSS pixels, if the page is wide enough. */
  readonly width: number;
  /** Whether to show its pixels as squares, without smoothing. */
  readonly pixels: boolean;
}

export interface PageAnswers {
  readonly note: string;
  readonly shown: readonly PageAnswer[];
}

interface PageAnswer {
  /** The image's name. */
  readonly name: string;
  /** Its class, and the answer. */
  readonly right: string;
  readonly answer: string;
  readonly isRight: boolean;
  readonly probability: number;
  /** The image, and the class activation map of the answer over it, as data URLs. */
  readonly pictures: readonly string[];
}

export function reportPage(page: ReportPage): string {
  const { title, subtitle, tiles, charts, pictures, answers, tables, epochs, files } = page;
  const body = html`<main>
    <h1>${title}</h1>
    <p class="note">${subtitle}</p>
    <div class="tiles">
      ${tiles.map(
        ({ name, value, note }) =>
          html`<div class="tile"><span>${name}</span><b>${value}</b><span>${note}</span></div>`,
      )}
    </div>
    <div class="two">
      ${charts.map(
        ({ name, svg }) =>
          html`<section class="card">
            <h2>${name}</h2>
            ${new Html(svg)}
          </section>`,
      )}
    </div>
    ${pictures.map(pictureCard)} ${answers ? answersCard(answers) : ""}
    <div class="two">
      ${tables.map(
        ({ name, rows }) =>
          html`<section class="card">
            <h2>${name}</h2>
            <table>
              ${rows.map(
                ([key, value]) =>
                  html`<tr>
                    <th scope="row">${key}</th>
                    <td>${value}</td>
                  </tr>`,
              )}
            </table>
          </section>`,
      )}
    </div>
    ${epochsCard(epochs)}
    <section class="card">
      <h2>Files</h2>
      <table>
        ${files.map(
          ({ name, about }) =>
            html`<tr>
              <td class="name"><a href="${encodeURIComponent(name)}">${name}</a></td>
              <td class="note">${about}</td>
            </tr>`,
        )}
      </table>
    </section>
  </main>`;
  const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(policy)}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.markup;
}

function pictureCard({ name, note, source, width, pixels }: PagePicture): Html {
  const style = html`<img
    alt="${name}"
    src="${new Html(source)}"
    width="${width}"
    class="${pixels ? "pixels" : "photo"}"
  />`;
  return html`<section class="card">
    <h2>${name}</h2>
    ${style}
    <p class="note">${note}</p>
  </section>`;
}

function answersCard({ note, shown }: PageAnswers): Html {
  const [right, wrong] = [shown.filter(({ isRight }) => isRight), shown.filter(({ isRight }) => !isRight)];
  return html`<section class="card">
    <h2>Right and wrong</h2>
    <p class="note">${note}</p>
    ${answersRow("Wrong, the surest first", wrong)} ${answersRow("Right", right)}
  </section>`;
}

function answersRow(title: string, shown: readonly PageAnswer[]): Html {
  if (shown.length === 0) return html``;
  return html`<h3>${title}</h3>
    <div class="answers">${shown.map(answerFigure)}</div>`;
}

function answerFigure({ name, right, answer, isRight, probability, pictures }: PageAnswer): Html {
  const truth = isRight ? html`` : html`<span>true class: ${right}</span>`;
  return html`<figure>
    <div>${pictures.map((source) => html`<img alt="" src="${new Html(source)}" />`)}</div>
    <figcaption>
      <b>${answer}</b> ${percent(probability)} ${truth}
      <span>${name}</span>
    </figcaption>
  </figure>`;
}

function epochsCard({ names, rows }: ReportPage["epochs"]): Html {
  if (rows.length === 0) return html``;
  return html`<section class="card">
    <h2>Epochs</h2>
    <details>
      <summary>${rows.length} in numbers</summary>
      <div class="scroll">
        <table class="numbers">
          <tr>
            ${names.map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
          ${rows.map(
            (row) =>
              html`<tr>
                ${row.map((cell) => html`<td>${cell}</td>`)}
              </tr>`,
          )}
        </table>
      </div>
    </details>
  </section>`;
}
