import { PythonError } from "../python/values.ts";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** Directives that stand for several. */
const COMPOSED: Readonly<Record<string, string>> = {
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  R: "%H:%M",
  T: "%H:%M:%S",
  X: "%H:%M:%S",
  c: "%a %b %e %H:%M:%S %Y",
  r: "%I:%M:%S %p",
  x: "%m/%d/%y",
};

/**
 * A date as `datetime.strftime` writes it in the C locale: `%Y-%m-%d`, `%d %b %Y`, `%-d`, …
 *
 * @throws PythonError for a directive that is not known.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0]?)([\s\S]?)/g, (whole, flag: string, directive: string) => {
    if (directive === "%") return "%";
    const composed = COMPOSED[directive];
    if (composed !== undefined) return strftime(date, composed);
    const number = numbers(date)[directive];
    if (number !== undefined) {
      const [value, width, fill] = number;
      if (flag === "-") return String(value);
      return String(value).padStart(width, flag === "_" ? " " : flag === "0" ? "0" : fill);
    }
    const text = texts(date)[directive];
    if (text === undefined) throw new PythonError(`the date format ${whole} is not known`);
    return text;
  });
}

function numbers(date: Date): Readonly<Record<string, readonly [number, number, string]>> {
  const hour = date.getHours();
  const dayOfYear = Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 0)) / 864e5,
  );
  const week = (firstDay: number) => Math.floor((dayOfYear + 6 - ((date.getDay() - firstDay + 7) % 7)) / 7);
  return {
    Y: [date.getFullYear(), 1, "0"],
    y: [date.getFullYear() % 100, 2, "0"],
    C: [Math.floor(date.getFullYear() / 100), 2, "0"],
    m: [date.getMonth() + 1, 2, "0"],
    d: [date.getDate(), 2, "0"],
    e: [date.getDate(), 2, " "],
    H: [hour, 2, "0"],
    I: [hour % 12 || 12, 2, "0"],
    k: [hour, 2, " "],
    l: [hour % 12 || 12, 2, " "],
    M: [date.getMinutes(), 2, "0"],
    S: [date.getSeconds(), 2, "0"],
    f: [date.getMilliseconds() * 1000, 6, "0"],
    j: [dayOfYear, 3, "0"],
    u: [date.getDay() || 7, 1, "0"],
    w: [date.getDay(), 1, "0"],
    U: [week(0), 2, "0"],
    W: [week(1), 2, "0"],
    s: [Math.floor(date.getTime() / 1000), 1, "0"],
  };
}

function texts(date: Date): Readonly<Record<string, string>> {
  const day = DAYS[date.getDay()]!;
  const month = MONTHS[date.getMonth()]!;
  return {
    A: day,
    a: day.slice(0, 3),
    B: month,
    b: month.slice(0, 3),
    h: month.slice(0, 3),
    p: date.getHours() < 12 ? "AM" : "PM",
    P: date.getHours() < 12 ? "am" : "pm",
    Z: "",
    z: "",
    n: "\n",
    t: "\t",
  };
}
