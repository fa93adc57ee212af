/** HTML templates and the style sheet of a run's pages. All values are escaped as text unless they are `Html`. */
import { DARK, LIGHT, type Palette } from "./charts.ts";
import { cleanText } from "./clean_text.ts";

/** Markup composed here from escaped text. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

type HtmlValue = string | number | Html | readonly Html[];

/** Template tag: strings are escaped, `Html` is inserted as markup. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const markup = parts.reduce((before, part, i) => before + markupOf(values[i - 1]!) + part);
  return new Html(markup);
}

function markupOf(value: HtmlValue): string {
  if (value instanceof Html) return value.markup;
  if (typeof value === "object") return value.map(({ markup }) => markup).join("\n");
  return escapeText(String(value));
}

/** Escapes text for elements and attributes; removes control characters and text-direction marks. */
function escapeText(words: string): string {
  return cleanText(words).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const variables = ({ ink, muted, grid, ground, series }: Palette) =>
  `--ink:${ink};--muted:${muted};--line:${grid};--ground:${ground};--accent:${series[0]};--second:${series[1]}`;

/** Style rules that replace a chart's light colours by dark ones. */
function recolour(from: Palette, to: Palette): string {
  const pairs = [
    [from.ink, to.ink],
    [from.muted, to.muted],
    [from.grid, to.grid],
    ...from.series.map((colour, i) => [colour, to.series[i]!] as const),
  ];
  return pairs.map(([a, b]) => `svg [stroke="${a}"]{stroke:${b}}svg [fill="${a}"]{fill:${b}}`).join("");
}

/** The style sheet of all pages: light or dark like the system, one column where two don't fit. */
export const STYLE = `
:root{color-scheme:light dark;${variables(LIGHT)};--sheet:#f4f4f6}
@media(prefers-color-scheme:dark){:root{${variables(DARK)};--sheet:#131316}${recolour(LIGHT, DARK)}}
*{box-sizing:border-box}
body{margin:0;background:var(--sheet);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.25;margin:0 0 2px;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 10px}
h3{font-size:15px;margin:14px 0 8px}
p{margin:0}
.note{color:var(--muted);font-size:13px;overflow-wrap:anywhere}
.card{background:var(--ground);border:1px solid var(--line);border-radius:10px;padding:16px 18px;margin-top:16px;min-width:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:20px}
.tile{background:var(--ground);border:1px solid var(--line);border-radius:10px;padding:12px 16px;min-width:0}
.tile b{display:block;font-size:22px;line-height:1.3;font-weight:600;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tile span{color:var(--muted);font-size:13px;display:block}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;margin-top:16px}
.two>.card{margin-top:0}
.card svg{display:block;width:100%;height:auto}
.card svg text{font-family:inherit!important}
.pixels{image-rendering:pixelated;display:block;max-width:100%;height:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:4px 14px 4px 0;vertical-align:top;border-top:1px solid var(--line)}
tr:first-child>*{border-top:0}
th{font-weight:400;color:var(--muted);white-space:nowrap}
td{overflow-wrap:anywhere}
.numbers td,.numbers th{text-align:right;white-space:nowrap}
.photo{display:block;max-width:100%;height:auto;border-radius:4px}
.photo+.note,.pixels+.note{margin-top:8px}
.answers{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr));gap:16px}
.answers figure{margin:0;min-width:0}
.answers div{display:grid;grid-template-columns:1fr 1fr;gap:4px}
.answers img{display:block;width:100%;height:auto;border-radius:4px}
.answers figcaption{font-size:13px;margin-top:4px;overflow-wrap:anywhere}
.answers span{display:block;color:var(--muted)}
.name{white-space:nowrap}
.scroll{overflow-x:auto}
summary{cursor:pointer;color:var(--accent)}
a{color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media print{body{background:#fff}.card,.tile{break-inside:avoid}}
`;
