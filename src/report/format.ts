const THIN = "\u202f";

/** Shown where nothing was measured. */
const NOTHING = "–";

/** A share as a percentage: whole, but never 0 % or 100 % for what is not exactly that. `0.974` → `97 %`, `0.998` → `99.8 %`. */
export function percent(share: number): string {
  const value = share * 100;
  const whole = Math.round(value);
  const honest = (whole !== 0 && whole !== 100) || Math.abs(value - whole) < 1e-9;
  return `${honest ? whole : value.toFixed(Math.abs(value - whole) < 0.05 ? 2 : 1)}${THIN}%`;
}

/** A measured number with three significant digits: `0.0213`, `4.1 × 10⁻⁵`, `7,912`. */
export function measure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return scientific(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function scientific(value: number): string {
  const [mantissa, exponent] = value.toExponential(1).split("e");
  const raised = exponent!
    .replace("+", "")
    .replace("-", "⁻")
    .replace(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)]!);
  return `${Number(mantissa)}${THIN}×${THIN}10${raised}`;
}

/** An ISO date for reading, in UTC; as it is if it is no date. */
export function date(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
  return `${format.format(time).replace(" at ", ", ")} UTC`;
}

/** Model output with its invisible characters made visible, since a broken completion may hold any of them. */
export function visible(text: string): string {
  return [...text]
    .map((character) => {
      const code = character.codePointAt(0)!;
      if (character === "\n") return "↵\n";
      if (code < 0x20) return String.fromCodePoint(0x2400 + code);
      return code === 0x7f ? "␡" : character;
    })
    .join("");
}
