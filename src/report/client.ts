/**
 * The script of the page: draws the charts in the colours of the theme, shows the values under the cursor, and draws
 * again when theme, scale or medium change. A string, since it runs in the reader's browser and not here.
 */
export const CLIENT = `"use strict";
(() => {
  const root = document.documentElement;
  const { steps, charts } = JSON.parse(document.getElementById("curves-data").textContent);
  const stepLabel = document.querySelector("#curves ~ .note .step");

  const short = (value) => {
    if (value == null) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e-", "e−").replace("e+", "e");
    return size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  };

  const prepare = ({ id, curves }) => {
    const figure = document.getElementById("chart-" + id);
    const box = figure.querySelector(".plot");
    const button = figure.querySelector("button");
    const values = [...figure.querySelectorAll(".value")];
    const strokes = [...figure.querySelectorAll(".legend svg")];
    const last = values.map((value) => value.textContent);
    const raws = curves.map(({ raw }) => raw);
    const smooths = curves.map(({ raw, smooth }) => smooth || raw);
    let plot;

    const showValues = ({ cursor }) => {
      const at = cursor.idx;
      values.forEach((value, i) => { value.textContent = at == null ? last[i] : short(raws[i][at]); });
      stepLabel.textContent = steps[at == null ? steps.length - 1 : at];
    };

    const draw = () => {
      const log = button !== null && button.getAttribute("aria-pressed") === "true";
      const positive = (values) => log ? values.map((value) => value > 0 ? value : null) : values;
      const style = getComputedStyle(box);
      const soft = style.color, line = style.borderTopColor;
      const font = "11px " + style.fontFamily;
      const series = (i, more) => ({ stroke: getComputedStyle(strokes[i]).color, spanGaps: true, ...more });
      const decades = (u, marks) => log ? marks.map((mark) => Number.isInteger(Math.round(Math.log10(mark) * 1e6) / 1e6) ? mark : null) : marks;
      const axis = { stroke: soft, font, ticks: { show: false }, gap: 6 };
      if (plot) plot.destroy();
      plot = new uPlot({
        width: box.clientWidth,
        height: box.clientHeight,
        padding: [8, 10, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 }, sync: { key: "steps", scales: ["x", null], setSeries: false } },
        scales: {
          x: { time: false },
          y: { distr: log ? 3 : 1, range: (u, min, max) => {
            if (min == null) return log ? [0.1, 1] : [0, 1];
            // Marks are made one by one, and a dozen decades are all that can be told apart.
            return log ? [Math.max(min, max * 1e-12) / 1.2, max * 1.2] : uPlot.rangeNum(Math.min(0, min), max === 0 ? 1 : max, 0.05, true);
          } },
        },
        axes: [
          { ...axis, size: 26, space: 60, grid: { show: false } },
          { ...axis, size: 48, space: 28, filter: decades, grid: { stroke: line, width: 1, filter: decades },
            values: (u, marks) => marks.map((mark) => mark == null ? "" : short(mark)) },
        ],
        series: [
          {},
          ...curves.map(({ smooth }, i) => series(i, { show: smooth !== null, alpha: 0.22, width: 1, points: { show: false } })),
          ...curves.map(({ dash }, i) => series(i, { dash, width: 2 })),
        ],
        hooks: { setCursor: [showValues] },
      }, [steps, ...raws.map(positive), ...smooths.map(positive)], box);
    };

    if (button) button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      draw();
    });
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
    draw();
    return draw;
  };

  root.classList.add("js");
  const drawings = charts.map(prepare);
  const drawAll = () => drawings.forEach((draw) => draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("themechange", drawAll);

  // Paper is white: print in light colours, whatever the screen shows.
  let shown = "";
  addEventListener("beforeprint", () => { shown = root.style.colorScheme; root.style.colorScheme = "light"; drawAll(); });
  addEventListener("afterprint", () => { root.style.colorScheme = shown; drawAll(); });
})();
`;

/** The script of the button that switches between light and dark. */
export const THEME_CLIENT = `"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => root.style.colorScheme ? root.style.colorScheme === "dark" : system.matches;
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", "Switch to " + button.textContent.toLowerCase() + " colours"); };
  root.classList.add("js");
  button.addEventListener("click", () => {
    root.style.colorScheme = dark() ? "light" : "dark";
    name();
    dispatchEvent(new Event("themechange"));
  });
  system.addEventListener("change", name);
  name();
})();
`;
