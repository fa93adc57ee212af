/**
 * The report page of a run: one self-contained file. It has no scripts and loads nothing, and its content security policy
 * forbids both, so that even a malicious class name that got through as markup could do nothing.
 */
import { percent } from "../words.ts";
import { classesCard, confusionsCard, matrixCard, type PageClasses } from "./report_classes.ts";
import { Html, html, STYLE } from "./page.ts";

interface ReportPage {
  readonly title: string;
  readonly subtitle: string;
  /** The key numbers at the top: name, value and a note. */
  readonly tiles: readonly { readonly name: string; readonly value: string; readonly note: string }[];
  readonly classes?: PageClasses;
  /** Answers that were wrong, and answers that were right. */
  readonly answers?: PageAnswers;
  /** Images whose label the model contradicts. */
  readonly issues?: PageAnswers;
  /** SVG elements, made by `reliabilitySvg`. */
  readonly reliability?: { readonly note: string; readonly diagrams: readonly PageDrawing[] };
  /** What to type, and what for. */
  readonly commands: readonly (readonly [purpose: string, command: string])[];
  /** SVG elements, made by `chartSvg`. */
  readonly charts: readonly PageDrawing[];
  readonly filters?: PageFilters;
  readonly tables: readonly { readonly name: string; readonly rows: readonly (readonly [string, string])[] }[];
  /** A header row, and rows of numbers. */
  readonly epochs: { readonly names: readonly string[]; readonly rows: readonly (readonly string[])[] };
  /** Files in the page's folder, with descriptions. */
  readonly files: readonly { readonly name: string; readonly about: string }[];
}

export interface PageDrawing {
  readonly name: string;
  readonly svg: string;
}

export interface PageFilters {
  readonly name: string;
  readonly note: string;
  /** A data URL for each. */
  readonly sources: readonly string[];
  /** In CSS pixels. */
  readonly side: number;
}

export interface PageAnswers {
  readonly note: string;
  readonly shown: readonly PageAnswer[];
}

export interface PageAnswer {
  /** The image's name. */
  readonly name: string;
  /** Its class or label, and the answer. */
  readonly right: string;
  readonly answer: string;
  readonly isRight: boolean;
  readonly probability: number;
  /** The image and, if there is one, the class activation map of the answer over it, as data URLs. */
  readonly pictures: readonly string[];
}

export function reportPage(page: ReportPage): string {
  const { title, subtitle, tiles, classes, answers, issues, reliability, commands, charts, filters, epochs } = page;
  const [right, wrong] = [true, false].map((is) => answers?.shown.filter(({ isRight }) => isRight === is) ?? []);
  const note = answers?.note ?? "";
  const body = html`<main>
    <h1>${title}</h1>
    <p class="note">${subtitle}</p>
    <div class="tiles">
      ${tiles.map(
        ({ name, value, note }) =>
          html`<div class="tile"><span>${name}</span><b>${value}</b><span>${note}</span></div>`,
      )}
    </div>
    ${
      classes
        ? html`<div class="${classes.scores.length <= BESIDE ? "two" : ""}">
            ${[classesCard(classes), matrixCard(classes), confusionsCard(classes)]}
          </div>`
        : ""
    }
    ${answersCard("Worst mistakes", "true class:", { note: wrong!.length > 0 ? note : "", shown: wrong! })}
    ${answersCard(right!.length > 0 ? "Right answers" : "Answers", "", { note: wrong!.length > 0 ? "" : note, shown: right! })}
    ${issues ? answersCard("Likely wrong labels", "labelled", issues) : ""}
    ${reliability ? reliabilityCard(reliability) : ""} ${commandsCard(commands)}
    <div class="two">${charts.map(drawingCard)}</div>
    ${filters ? filtersCard(filters) : ""}
    <div class="two">${page.tables.map(tableCard)}</div>
    ${epochsCard(epochs)} ${filesCard(page.files)}
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
          ${new Html(STYLE + REPORT_STYLE)}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.markup;
}

const drawingCard = ({ name, svg }: PageDrawing): Html =>
  html`<section class="card">
    <h2>${name}</h2>
    ${new Html(svg)}
  </section>`;

const tableCard = ({ name, rows }: ReportPage["tables"][number]): Html =>
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
  </section>`;

function answersCard(title: string, truth: string, { note, shown }: PageAnswers): Html {
  if (shown.length === 0 && note === "") return html``;
  const isPair = shown.some(({ pictures }) => pictures.length > 1);
  return html`<section class="card">
    <h2>${title}</h2>
    <p class="note">${note}</p>
    <div class="answers ${isPair ? "pairs" : "singles"}">${shown.map((answer) => answerFigure(answer, truth))}</div>
  </section>`;
}

/** @param truth what comes before the right class */
function answerFigure({ name, right, answer, isRight, probability, pictures }: PageAnswer, truth: string): Html {
  return html`<figure>
    <div>${pictures.map((source) => html`<img alt="" src="${new Html(source)}" />`)}</div>
    <figcaption>
      <b>${answer}</b> ${percent(probability)} ${isRight ? html`` : html`<span>${truth} ${right}</span>`}
      <span>${name}</span>
    </figcaption>
  </figure>`;
}

function reliabilityCard({ note, diagrams }: NonNullable<ReportPage["reliability"]>): Html {
  return html`<section class="card">
    <h2>Calibration</h2>
    <p class="note">${note}</p>
    <div class="diagrams">
      ${diagrams.map(
        ({ name, svg }) =>
          html`<figure>
            <h3>${name}</h3>
            ${new Html(svg)}
          </figure>`,
      )}
    </div>
  </section>`;
}

function commandsCard(commands: ReportPage["commands"]): Html {
  if (commands.length === 0) return html``;
  return html`<section class="card">
    <h2>Commands</h2>
    ${commands.map(
      ([purpose, command]) =>
        html`<p class="note">${purpose}</p>
          <code>${command}</code>`,
    )}
  </section>`;
}

function filtersCard({ name, note, sources, side }: PageFilters): Html {
  return html`<section class="card">
    <h2>${name}</h2>
    <div class="filters" role="img" aria-label="${name}">
      ${sources.map((source) => html`<img alt="" src="${new Html(source)}" width="${side}" height="${side}" />`)}
    </div>
    <p class="note">${note}</p>
  </section>`;
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

function filesCard(files: ReportPage["files"]): Html {
  return html`<section class="card">
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
  </section>`;
}

/** For up to so many classes, scores and matrix have room side by side. */
const BESIDE = 10;

/** What only reports have. */
const REPORT_STYLE = `
.answers{margin-top:12px}
.singles{grid-template-columns:repeat(auto-fill,minmax(min(100%,140px),1fr))}
.singles div{grid-template-columns:1fr;max-width:208px}
.diagrams{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:16px}
.diagrams figure{margin:0;min-width:0;max-width:460px}
code{display:block;margin:2px 0 12px;padding:8px 10px;background:var(--sheet);border-radius:6px;overflow-wrap:anywhere;
font:13px/1.5 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;user-select:all}
.filters{display:flex;flex-wrap:wrap;gap:4px}
.filters img{display:block;image-rendering:pixelated}
.filters+.note{margin-top:8px}
.bar{display:block;height:6px;margin-top:3px;border-radius:3px;background:linear-gradient(90deg,var(--accent) var(--share),var(--line) 0)}
.classes th[scope=row]{color:var(--ink);white-space:normal;overflow-wrap:anywhere;min-width:90px}
.classes td:nth-child(2),.classes td:nth-child(3),.classes td:nth-child(4){white-space:nowrap}
@media(max-width:600px){.classes th,.classes td{font-size:13px;padding-right:8px}}
.matrix{width:auto}
.matrix th,.matrix td{border:0;padding:2px 4px;font-size:13px}
.matrix th[scope=row]{text-align:right;vertical-align:middle;max-width:130px;overflow:hidden;text-overflow:ellipsis}
.matrix thead th{vertical-align:bottom;text-align:center}
.matrix thead span{display:inline-block;writing-mode:vertical-rl;transform:rotate(180deg);max-height:120px;overflow:hidden;text-overflow:ellipsis}
.matrix td{min-width:32px;white-space:nowrap;height:30px;text-align:center;vertical-align:middle;border:1px solid var(--line);
background:color-mix(in srgb,var(--second) var(--share,0%),var(--ground))}
.matrix td.hit{background:color-mix(in srgb,var(--accent) var(--share,0%),var(--ground))}
@media(max-width:600px){.matrix th,.matrix td{font-size:11px;padding:1px 3px 1px 1px}.matrix td{min-width:24px;height:26px;padding:0}}
.diagram{display:block;max-width:100%;height:auto}
@media(prefers-color-scheme:dark){.diagram{filter:invert(.9) hue-rotate(180deg)}}
`;
