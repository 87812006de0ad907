// Draws each chart from the table beside it, and again when the table changes. The table is what a screen reader reads.

const QUIET = "--quiet";
const COLOURS = ["--accent", "--good"];
const charts = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function columns(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("data")].map((cell) => Number(cell.value)));
  return rows.length ? rows[0].map((_, k) => rows.map((row) => row[k])) : [];
}

// On a logarithmic axis only whole decades have a line, and a label that is not all zeros.
const isDecade = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6;
const decades = (_, values) => values.map((value) => (isDecade(value) ? value : null));
const powers = (_, values) => values.map((value) => (value === null ? "" : value.toExponential(0)));

function logarithmic(axis) {
  return { ...axis, grid: { ...axis.grid, filter: decades }, ticks: { ...axis.ticks, filter: decades }, filter: decades, values: powers };
}

function options(figure, plot, names) {
  const isLog = figure.dataset.chart === "residual";
  const axis = { stroke: () => colour(QUIET), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line") } };
  return {
    width: plot.clientWidth,
    height: plot.clientHeight,
    legend: { show: false },
    cursor: { show: false },
    tzDate: (at_s) => uPlot.tzDate(new Date(at_s * 1000), "Etc/UTC"), // as everything on the pages
    scales: { x: { time: !isLog }, y: isLog ? { distr: 3 } : { range: (_, __, most) => [0, Math.max(most, 1)] } },
    axes: [{ ...axis, ...(isLog ? { values: (_, ticks) => ticks.map((tick) => `${tick} s`) } : {}) }, { ...(isLog ? logarithmic(axis) : axis), size: 60 }],
    series: [
      {},
      ...names.map((label, k) => ({
        label,
        stroke: () => colour(COLOURS[k]),
        width: 2,
        dash: k ? [6, 4] : undefined,
        points: { show: isLog, size: 5 },
      })),
    ],
  };
}

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const data = columns(figure);
  const known = charts.get(plot);
  if (data.length < 2) return;
  if (known) {
    known.setData(data);
    return;
  }
  const names = [...figure.querySelectorAll("thead th")].slice(1, data.length).map((cell) => cell.textContent);
  charts.set(plot, new uPlot(options(figure, plot, names), data, plot));
}

function drawAll() {
  for (const plot of charts.keys()) {
    if (!plot.isConnected) {
      charts.get(plot).destroy();
      charts.delete(plot);
    }
  }
  document.querySelectorAll("figure.chart").forEach(draw);
}

let isDue = false;
function soon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    drawAll();
  });
}

new MutationObserver((changes) => {
  if (changes.some((change) => !change.target.parentElement?.closest(".plot"))) soon();
}).observe(document.getElementById("main"), { childList: true, subtree: true, characterData: true, attributeFilter: ["value"] });
addEventListener("resize", () => charts.forEach((chart, plot) => chart.setSize({ width: plot.clientWidth, height: plot.clientHeight })));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.redraw()));
drawAll();
