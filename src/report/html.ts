/** Text that is markup already. Everything else that enters a page through `html` is escaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Part = Html | string | number | null | undefined | false | readonly Part[];

/**
 * A template of markup: strings and numbers in it are escaped, lists joined, null, undefined and false are nothing.
 *
 * @example html`<p title="${"a < b"}">${html`<b>${1}</b>`}</p>`.text; // <p title="a &lt; b"><b>1</b></p>
 */
export function html(markup: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(markup.reduce((text, next, i) => text + render(parts[i - 1]!) + next));
}

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (part === null || part === undefined || part === false) return "";
  if (typeof part === "object") return part.map(render).join("");
  return escapeHtml(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text escaped for use between tags and inside quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** A script's source such that nothing in it closes its element. */
export function inlineScript(source: string): Html {
  return new Html(source.replace(/<(?=\/script|!--)/gi, "\\x3c"));
}

/** A value as JSON for a `<script type="application/json">`. */
export function inlineJson(value: unknown): Html {
  return new Html(JSON.stringify(value).replace(/</g, "\\u003c"));
}
