import { greatest } from "../common/extremes.ts";
import type { ScoreColumn } from "./data.ts";
import { percent } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Identity, marker } from "./identity.ts";

/** @file The picture of the whole matter: what was kept against what was learned, one point per model. */

const WIDTH = 460;
const HEIGHT = 370;
const FRAME = { left: 44, right: WIDTH - 8, top: 32, bottom: HEIGHT - 50 };
/** Room between the frame and the points at 0 and at the most. */
const INSET = 14;
const TEXT = { size: 13, height: 17, perCharacter: 6.7 };
const GAP = 12;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** Retention (up) against the new task's accuracy (right). Better is up and to the right. */
export function tradeOff(columns: readonly ScoreColumn[], looks: ReadonlyMap<string, Identity>): Html {
  const most = Math.max(1, greatest(columns.map(({ retention }) => retention)));
  const top = Math.ceil(most * 10 - 1e-9) / 10;
  const x = (share: number) => FRAME.left + INSET + share * (FRAME.right - FRAME.left - 2 * INSET);
  const y = (share: number) => FRAME.bottom - INSET - (share / top) * (FRAME.bottom - FRAME.top - 2 * INSET);
  const points = columns.map((column) => ({
    look: looks.get(column.name)!,
    x: x(column.task.strict),
    y: y(column.retention),
  }));
  const labels = placeLabels(points.map(({ look, x, y }) => ({ text: look.name, x, y })));
  const base = points[0];
  const summary = columns.map(
    ({ name, retention, task }) => `${name}: kept ${percent(retention)}, learned ${percent(task.strict)}`,
  );

  return html`<svg class="trade-off" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Kept against learned. ${summary.join("; ")}.">
<defs><radialGradient id="ideal" gradientUnits="userSpaceOnUse" cx="${x(1)}" cy="${y(1)}" r="150"><stop offset="0" style="stop-color:var(--kept)"/><stop offset="1" style="stop-color:var(--kept);stop-opacity:0"/></radialGradient></defs>
<rect x="${FRAME.left}" y="${FRAME.top}" width="${FRAME.right - FRAME.left}" height="${FRAME.bottom - FRAME.top}" fill="url(#ideal)"/>
${[0, 0.25, 0.5, 0.75, 1].map(
  (share) => html`<path class="grid" d="M${FRAME.left} ${y(share)}H${FRAME.right}"/>
<text class="tick" x="${FRAME.left - 8}" y="${y(share) + 4}" text-anchor="end">${share * 100}</text>
<path class="grid" d="M${x(share)} ${FRAME.bottom}v5"/>
<text class="tick" x="${x(share)}" y="${FRAME.bottom + 18}" text-anchor="middle">${share * 100}</text>`,
)}
<text class="axis" x="${FRAME.right}" y="${HEIGHT - 9}" text-anchor="end">new task learned, % →</text>
<text class="axis" x="2" y="15">↑ base skills kept, %</text>
${base && points.slice(1).map(({ look, ...end }) => html`<path class="path" d="M${base.x} ${base.y}L${end.x} ${end.y}" style="stroke:${look.color}"/>`)}
${points.map(({ look, x, y }) => html`<g transform="translate(${x} ${y}) scale(1.15)">${marker(look)}</g>`)}
${labels.map(({ text, x, y }, i) => html`<text class="name" x="${x}" y="${y + 4.5}" style="fill:${points[i]!.look.color}">${text}</text>`)}
</svg>`;
}

/** A place beside each point, on the side with more room, moved up or down until it touches no label and no point. */
function placeLabels(points: readonly { readonly text: string; readonly x: number; readonly y: number }[]) {
  const taken: Box[] = points.map(({ x, y }) => ({ x: x - 8, y, width: 16 }));
  return points.map(({ text, x, y }) => {
    const width = text.length * TEXT.perCharacter;
    const left = x - GAP - width;
    const start = x + GAP + width > WIDTH || (x > WIDTH / 2 && left > 0) ? Math.max(0, left) : x + GAP;
    const free = Array.from({ length: HEIGHT }, (_, i) => ({ x: start, y: y + (i % 2 ? i + 1 : -i), width })).find(
      (box) => box.y > FRAME.top && box.y < FRAME.bottom && !taken.some((other) => overlap(other, box)),
    );
    const box = free ?? { x: start, y, width };
    taken.push(box);
    return { text, x: box.x, y: box.y };
  });
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && Math.abs(a.y - b.y) < TEXT.height;
}
