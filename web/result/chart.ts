/** Size against error: a point for each recipe that was carried out. */
import { formatBytes } from "modelshrink";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { make } from "../base/dom.js";
import { formatAbout, formatShare, formatSqnr } from "../base/format.js";
import { messageOf, ui } from "../base/ui.js";
import { Cancelled, type Task } from "../base/jobs.js";
import { library } from "../work/client.js";
import { placeLabels } from "./labels.js";
import { pointButtons, type Placed } from "./points.js";
import type { Measured, Model, NamedRecipe, Sized } from "../work/protocol.js";

interface Subject {
  model: Model;
  inputBytes: number;
  /** The recipes that change something, in the slider's order. */
  offered: readonly Sized[];
  recipes: readonly NamedRecipe[];
  chosen: string;
}

let subject: Subject | undefined;
let measured = new Map<string, Measured>();
let task: Task<null> | undefined;
let plot: uPlot | undefined;
let onChoose: (name: string) => void = () => undefined;

/** The points from the smallest on; what lost nothing has no place on an axis of decibels. */
const points = (): Measured[] =>
  [...measured.values()]
    .filter(({ sqnr }) => Number.isFinite(sqnr))
    .sort((a, b) => a.outputBytes - b.outputBytes);

function drawNames(chart: uPlot): void {
  const { ctx } = chart;
  ctx.save();
  ctx.fillStyle = chart.root.dataset["text"] ?? "";
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const found = points();
  const boxes = placeLabels(
    found.map(({ name, outputBytes, sqnr }) => ({
      x: chart.valToPos(outputBytes, "x", true),
      y: chart.valToPos(sqnr, "y", true),
      width: ctx.measureText(name).width,
    })),
    { dot: 9 * devicePixelRatio, height: 14 * devicePixelRatio, within: chart.bbox },
  );
  for (const [i, box] of boxes.entries()) {
    const { left, top, width, height } = box ?? {};
    if (left === undefined || top === undefined || !width || !height) continue;
    ctx.fillText(found[i]?.name ?? "", left + width / 2, top + height / 2);
  }
  ctx.restore();
}

function draw(): void {
  plot?.destroy();
  plot = undefined;
  const found = points();
  if (found.length === 0) {
    ui.chart.replaceChildren(
      make(
        "p",
        { className: "hint" },
        "The sizes are known; the errors are when recipes have run.",
      ),
    );
    return;
  }
  // Colors that follow the scheme have their value only where they are used.
  ui.chart.replaceChildren();
  const text = getComputedStyle(ui.chart).color;
  const probe = make("i", { className: "dot" });
  ui.chart.append(probe);
  const accent = getComputedStyle(probe).color;
  probe.remove();
  const axis = { stroke: text, grid: { stroke: "rgb(128 128 140 / 0.2)" } };
  const rangeOf = (values: readonly number[]) => (): [number, number] => {
    const min = values.reduce((a, b) => Math.min(a, b));
    const max = values.reduce((a, b) => Math.max(a, b));
    const room = Math.max((max - min) * 0.15, max * 0.05);
    return [min - room, max + room];
  };
  const sizes = found.map((it) => it.outputBytes);
  const ratios = found.map((it) => it.sqnr);
  plot = new uPlot(
    {
      width: Math.max(200, ui.chart.clientWidth),
      height: 260,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: rangeOf(sizes) }, y: { range: rangeOf(ratios) } },
      axes: [
        { ...axis, label: "Size", space: 90, values: (_, splits) => splits.map(formatBytes) },
        { ...axis, label: "SQNR in dB, higher is better" },
      ],
      series: [
        {},
        // The recipes are apart: no line joins their points.
        { stroke: accent, paths: () => null, points: { show: true, size: 9, fill: accent } },
      ],
      hooks: {
        draw: [drawNames],
        // Points have their places once the chart has its scales.
        ready: [
          (chart) => {
            const buttons = pointButtons(found.map(placed(chart)), chart.width, onChoose);
            ui.chart.append(chart.root, buttons);
          },
        ],
      },
    },
    [sizes, ratios],
  );
  plot.root.dataset["text"] = text;
  plot.root.setAttribute("role", "img");
  plot.root.setAttribute("aria-label", "Size against error; the table below has the same numbers.");
}

/** Gives a point its place in a chart. */
const placed =
  (chart: uPlot) =>
  (point: Measured): Placed => ({
    ...point,
    x: chart.over.offsetLeft + chart.valToPos(point.outputBytes, "x"),
    y: chart.over.offsetTop + chart.valToPos(point.sqnr, "y"),
  });

function listRows(): void {
  const { offered = [], inputBytes = 1, chosen } = subject ?? {};
  const rows = offered.map(({ name, outputBytes, packedBytes }) => {
    const known = measured.get(name);
    const row = make(
      "tr",
      {},
      make("th", { scope: "row" }, name),
      make("td", { className: "number" }, formatBytes(outputBytes)),
      make("td", { className: "number" }, formatShare(outputBytes / inputBytes)),
      make("td", { className: "number" }, packedBytes ? formatAbout(packedBytes) : "–"),
      make("td", { className: "number" }, known ? formatSqnr(known.sqnr) : "–"),
    );
    if (name === chosen) row.ariaCurrent = "true";
    return row;
  });
  ui.chartRows.replaceChildren(...rows);
}

/** Says which recipe is chosen. */
export function markChosen(name: string): void {
  if (!subject) return;
  subject.chosen = name;
  listRows();
}

function show(): void {
  listRows();
  draw();
}

function setMeasuring(isMeasuring: boolean): void {
  ui.measure.hidden = isMeasuring;
  ui.measureCancel.hidden = !isMeasuring;
}

/** Forgets what was measured: it was other recipes. */
export function clearPoints(): void {
  task?.cancel();
  task = undefined;
  measured = new Map();
  setMeasuring(false);
  ui.measureStatus.textContent = "";
  show();
}

/** Forgets the recipes, too: the model or the options are others. */
export function clearChart(): void {
  subject = undefined;
  ui.measure.disabled = true;
  clearPoints();
}

export function showChart(shown: Subject): void {
  subject = shown;
  ui.measure.disabled = shown.offered.length === 0;
  show();
}

export function addPoint(point: Measured): void {
  measured.set(point.name, point);
  show();
}

function measureAll(): void {
  if (!subject) return;
  const { model, offered, recipes } = subject;
  const wanted = recipes.filter(
    ({ name }) => offered.some((it) => it.name === name) && !measured.has(name),
  );
  let done = 0;
  setMeasuring(true);
  ui.measureCancel.focus();
  ui.measureStatus.textContent = `0 of ${wanted.length}`;
  const own = library.start("measure", { model, recipes: wanted }, (point) => {
    if (task !== own) return;
    done++;
    ui.measureStatus.textContent = `${done} of ${wanted.length}`;
    addPoint(point);
  });
  task = own;
  const end = (text: string) => {
    if (task !== own) return;
    setMeasuring(false);
    ui.measureStatus.textContent = text;
  };
  own.result.then(
    () => {
      end("All are measured.");
    },
    (error: unknown) => {
      end(error instanceof Cancelled ? "Stopped." : messageOf(error));
    },
  );
}

/** `choose` gets the name of the recipe whose point is pressed. */
export function listenForMeasuring(choose: (name: string) => void): void {
  onChoose = choose;
  ui.measure.addEventListener("click", measureAll);
  ui.measureCancel.addEventListener("click", () => {
    task?.cancel();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
}
