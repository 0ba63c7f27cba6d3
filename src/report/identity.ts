import type { ReportData } from "./data.ts";
import { type Html, html } from "./html.ts";

/** How one model looks everywhere on the page. Models differ in shape and dash too, not by colour alone. */
export interface Identity {
  readonly name: string;
  /** CSS colour, for light and dark. */
  readonly color: string;
  /** Marker, an SVG path around 0, 0 within ±6. */
  readonly shape: string;
  readonly hollow: boolean;
  /** Line pattern: lengths of strokes and gaps, [] for a solid line. */
  readonly dash: readonly number[];
}

/** After Okabe and Ito's palette for colour-blind readers, darkened for text contrast on paper and lightened for night. */
const COLORS = [
  "light-dark(#c04a05, #ff9d66)",
  "light-dark(#0a66a8, #6db9f7)",
  "light-dark(#087a5a, #45cfa0)",
  "light-dark(#9a3f86, #e59ad3)",
  "light-dark(#806000, #e3bd4f)",
  "light-dark(#4b55b5, #a9b1ff)",
];

const SHAPES = [
  "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
  "M-4.6 -4.6H4.6V4.6H-4.6Z",
  "M0 -6L5.6 4.4H-5.6Z",
  "M0 -6.2L6.2 0L0 6.2L-6.2 0Z",
  "M0 6L5.6 -4.4H-5.6Z",
];

const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3]];

/** One identity per run, and per column of scores that is no run; the base is a grey ring. */
export function identities({ runs, scores }: Pick<ReportData, "runs" | "scores">): ReadonlyMap<string, Identity> {
  const base = scores?.columns[0]?.name ?? "base";
  const names = new Set([...runs, ...(scores?.columns ?? [])].map(({ name }) => name).filter((name) => name !== base));
  return new Map([
    [base, { name: base, color: "var(--soft)", shape: SHAPES[0]!, hollow: true, dash: [] }],
    ...[...names].map((name, i): [string, Identity] => [
      name,
      {
        name,
        color: COLORS[i % COLORS.length]!,
        shape: SHAPES[i % SHAPES.length]!,
        hollow: false,
        dash: DASHES[i % DASHES.length]!,
      },
    ]),
  ]);
}

/** The marker as a child of an SVG. */
export function marker({ color, shape, hollow }: Identity): Html {
  return html`<path d="${shape}" style="${hollow ? `fill:var(--paper);stroke:${color};stroke-width:2` : `fill:${color}`}"/>`;
}

/** The marker next to a name in text. */
export function badge(identity: Identity): Html {
  return html`<svg class="badge" viewBox="-7 -7 14 14" aria-hidden="true">${marker(identity)}</svg>`;
}

/** A piece of the run's line, for legends. */
export function stroke({ color, dash }: Identity): Html {
  return html`<svg class="stroke" viewBox="0 0 28 8" aria-hidden="true" style="color:${color}"><path d="M0 4H28" stroke="currentColor" stroke-width="2" stroke-dasharray="${dash.join(" ")}" fill="none"/></svg>`;
}

/** Name and marker. */
export function label(identity: Identity): Html {
  return html`<span class="who">${badge(identity)}${identity.name}</span>`;
}
