/** The style sheet of the page. Colours are pairs for light and dark; fonts are the system's. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#fdfcf9, #15171b);
  --panel: light-dark(#f5f3ed, #1d2026);
  --ink: light-dark(#1c1e21, #e9e6df);
  --soft: light-dark(#5c6068, #a5a9b1);
  --rule: light-dark(#dedad0, #343941);
  --kept: light-dark(#cfe5f6, #17405e);
  --lost: light-dark(#fbdcc6, #5b2f17);
  --bar: light-dark(#0a66a8, #6db9f7);
  --right: light-dark(#0b6b4c, #56d3a5);
  --wrong: light-dark(#a83a08, #ff9d66);
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, "Liberation Serif", serif;
  --sans: -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, "Cascadia Mono", Consolas, "Liberation Mono", monospace;
}
*, *::before, *::after { box-sizing: border-box; }
html { background: var(--paper); -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 var(--sans); font-variant-numeric: tabular-nums; }
main { max-width: 1120px; margin: 0 auto; padding: 40px clamp(16px, 4vw, 48px) 56px; }
:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; border-radius: 2px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:root:not(.js) .scripted { display: none; }

.kicker { display: flex; align-items: center; gap: 12px; margin: 0 0 14px; padding-bottom: 10px; border-bottom: 1px solid var(--rule); color: var(--soft); font-size: 13px; }
.kicker > span { color: var(--ink); font-weight: 650; letter-spacing: .02em; }
.kicker button { margin-left: auto; }
button { font: inherit; font-size: 12px; line-height: 1; color: var(--soft); background: none; border: 1px solid var(--rule); border-radius: 99px; padding: 5px 11px; cursor: pointer; }
button:hover, button[aria-pressed=true] { color: var(--ink); border-color: var(--soft); }
button[aria-pressed=true]::before { content: "✓ "; }
h1 { font: 600 clamp(28px, 4.4vw, 42px)/1.12 var(--serif); letter-spacing: -.012em; margin: 26px 0 14px; max-width: 24em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font: 600 23px/1.25 var(--serif); letter-spacing: -.005em; margin: 0 0 6px; }
h3 { font: 600 14px/1.35 var(--sans); margin: 0; }
section { margin-top: 52px; }
.lede { font: 19px/1.48 var(--serif); margin: 0 0 .35em; max-width: 44em; text-wrap: pretty; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: 13.5px; margin: 6px 0; max-width: 62em; text-wrap: pretty; overflow-wrap: anywhere; }
small { font-size: 12px; }
code, pre { font-family: var(--mono); font-size: 13px; }
figure { margin: 0; }

.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 12px 24px; margin: 24px 0 0; padding: 14px 0; border: solid var(--rule); border-width: 1px 0; }
.facts dt { color: var(--soft); font-size: 12px; }
.facts dd { margin: 0; overflow-wrap: anywhere; }

.who { display: inline-flex; align-items: baseline; gap: 6px; overflow-wrap: anywhere; }
.badge { width: 13px; height: 13px; flex: none; overflow: visible; vertical-align: -1.5px; }
.who .badge { position: relative; top: 1.5px; }
.stroke { width: 28px; height: 8px; flex: none; margin-right: 6px; }

.headline { display: grid; grid-template-columns: minmax(0, 1.12fr) minmax(0, 1fr); gap: 24px 44px; align-items: start; margin: 10px 0 26px; }
.trade-off { display: block; width: 100%; height: auto; overflow: visible; font-family: var(--sans); }
.trade-off .grid { stroke: var(--rule); fill: none; }
.trade-off .path { stroke-width: 1.2; opacity: .45; stroke-dasharray: 1 4; stroke-linecap: round; }
.trade-off .tick { fill: var(--soft); font-size: 11.5px; }
.trade-off .axis { fill: var(--soft); font-size: 12.5px; }
.trade-off .name { font-size: 13px; font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.models { list-style: none; margin: 0; padding: 0; }
.models li { padding: 11px 0 12px; border-top: 1px solid var(--rule); }
.models li:first-child { border-top: 0; }
.models p { margin: 1px 0 0 19px; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.models dl { display: grid; grid-template-columns: repeat(3, 1fr); gap: 20px; margin: 6px 0 0 19px; }
.models dt { color: var(--soft); font-size: 12px; line-height: 1.3; }
.models dd { margin: 0; font-size: 17px; line-height: 1.3; }
.meter { display: block; height: 3px; margin-top: 4px; border-radius: 2px; background: var(--rule); }
.meter i { display: block; height: 100%; border-radius: 2px; background: var(--soft); }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { caption-side: top; text-align: left; color: var(--soft); font-size: 13.5px; padding-bottom: 8px; }
caption b { color: var(--ink); }
th { font-weight: 400; text-align: left; }
thead th { font-size: 13px; font-weight: 600; line-height: 1.3; vertical-align: bottom; padding: 8px 10px; border-bottom: 1.5px solid var(--ink); }
tbody th, tbody td { padding: 7px 10px; border-bottom: 1px solid var(--rule); }
tbody th:first-child, thead th:first-child { padding-left: 0; }
.scores { table-layout: fixed; min-width: calc(84px + var(--columns) * 60px); }
.scores thead th:first-child { width: 24%; }
.scores thead th:not(:first-child) { overflow-wrap: anywhere; }
.scores tbody th { overflow-wrap: anywhere; }
.scores td { position: relative; white-space: nowrap; }
.scores td b { font-weight: 500; font-size: 15.5px; display: inline-block; min-width: 3em; text-align: right; }
.scores td small { color: var(--soft); margin-left: 5px; }
.scores .kept { background: color-mix(in oklab, var(--kept) var(--kept-share), var(--lost)); background-clip: padding-box; border-left: 3px solid transparent; }
.scores .kept small { color: color-mix(in oklab, var(--ink) 55%, var(--soft)); }
.scores .kept::after { content: ""; position: absolute; left: 0; bottom: 0; height: 3px; width: var(--kept-share); background: var(--bar); }
.scores .group th { padding-top: 16px; color: var(--soft); font-size: 12.5px; border-bottom-color: var(--soft); }
.scores .total :is(th, td b) { font-weight: 650; }
.scores .total th small { display: block; font-weight: 400; color: var(--soft); }
.scores .total td { padding-left: 13px; }

.charts { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 30px 34px; margin-top: 16px; }
.chart { grid-column: span 2; display: flex; flex-direction: column; }
.charts[data-large="1"] .chart:not(.small) { grid-column: 1 / -1; }
@media (min-width: 601px) {
  .charts:has(#chart-weight) .small { grid-column: span 3; }
  .charts[data-large="2"] .chart:not(.small) { grid-column: span 3; }
}
.chart figcaption { display: flex; align-items: baseline; gap: 8px; min-height: 24px; }
.chart figcaption small { color: var(--soft); }
.chart figcaption button { margin-left: auto; padding: 4px 9px; }
.legend { list-style: none; margin: 4px 0 6px; padding: 0; font-size: 12.5px; color: var(--soft); }
.legend li { display: flex; align-items: center; line-height: 1.5; overflow-wrap: anywhere; }
.legend b { margin-left: auto; padding-left: 12px; color: var(--ink); font-weight: 500; white-space: nowrap; }
.plot { height: 210px; margin-top: auto; font-family: var(--sans); color: var(--soft); border: 0 solid var(--rule); overflow: hidden; }
.small .plot { height: 130px; }
.uplot { font-family: inherit; }
.u-hz .u-cursor-x { border-right: 1px solid var(--soft); }

.samples { table-layout: fixed; margin-top: 8px; }
.samples tbody :is(th, td) { vertical-align: top; font-size: 13px; line-height: 1.45; }
.samples code { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.samples td > :is(code, em) { display: block; }
.samples :is(.right, .wrong) { font-size: 12px; }
.right { color: var(--right); font-weight: 600; white-space: nowrap; }
.wrong { color: var(--wrong); font-weight: 600; white-space: nowrap; }
.skill { display: block; color: var(--soft); font-size: 12px; }
.expected { display: block; margin-top: 3px; color: var(--soft); font-size: 12px; }
.expected code { color: var(--ink); font-size: 12px; }
.samples em { color: var(--soft); }
.narrow { display: none; }

.runs th small { display: block; margin-left: 19px; color: var(--soft); }
.runs :is(th, td):not(:first-child) { text-align: right; white-space: nowrap; }
details { border-bottom: 1px solid var(--rule); }
summary { padding: 9px 0; cursor: pointer; font-size: 14px; }
pre { margin: 0 0 12px; padding: 14px 16px; background: var(--panel); border-radius: 6px; overflow: auto; max-height: 30em; line-height: 1.5; }

.glossary dl { columns: 2; column-gap: 44px; margin: 12px 0 0; }
.glossary dl > div { break-inside: avoid; padding-bottom: 12px; }
.glossary dt { font-weight: 600; font-size: 14px; }
.glossary dd { margin: 0; color: var(--soft); font-size: 14px; text-wrap: pretty; }
footer { margin-top: 44px; padding-top: 12px; border-top: 1px solid var(--rule); color: var(--soft); font-size: 12.5px; }
footer p { margin: 0; }

@media (max-width: 880px) {
  .headline { grid-template-columns: minmax(0, 1fr); }
  .headline figure { max-width: 520px; }
  .chart { grid-column: span 3; }
  .samples, .samples tbody, .samples tr, .samples :is(th, td) { display: block; }
  .samples thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .samples tr { padding: 10px 0; border-bottom: 1px solid var(--rule); }
  .samples tbody :is(th, td) { border: 0; padding: 4px 0; }
  .samples td { display: grid; grid-template-columns: minmax(84px, 22%) minmax(0, 1fr) auto; gap: 10px; align-items: baseline; }
  .narrow { display: block; font-size: 12.5px; color: var(--soft); }
}
@media (max-width: 600px) {
  main { padding-top: 20px; }
  section { margin-top: 42px; }
  .lede { font-size: 17.5px; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .chart { grid-column: 1 / -1; }
  .scores thead th { font-size: 12px; padding-inline: 5px; }
  .scores tbody :is(th, td) { font-size: 13.5px; padding-inline: 5px; }
  .scores td small { margin-left: 0; }
  .scores td b { display: block; min-width: 0; text-align: left; font-size: 14px; }
  .scores .total td { padding-left: 8px; }
  .scores tr > th:first-child { padding-left: 0; }
  .glossary dl { columns: 1; }
}
@media print {
  :root { color-scheme: light !important; --paper: #fff; }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  button, details:not([open]) { display: none; }
  section { margin-top: 28px; }
  figure, tr, .models li, details { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  pre { max-height: none; white-space: pre-wrap; }
}
`;
