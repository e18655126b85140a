/** The weights of a chosen tensor as a drawing: how often each value occurs, before and after. */
import { visible } from "modelshrink/text";
import { make, svg } from "../base/dom.js";
import { messageOf, ui } from "../base/ui.js";
import type { Files } from "../open/files.js";
import { Cancelled, type Task } from "../base/jobs.js";
import { library } from "../work/client.js";
import type { Model } from "../work/protocol.js";
import type { Row } from "./changes.js";
import type { Counted, Histogram } from "./histogram.js";

/** The drawing's own units. */
const width = 720;
const height = 180;

let task: Task<Histogram> | undefined;

const format = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const count = new Intl.NumberFormat("en");

/** A line along the tops of the bins. A root shows few next to many. */
function outline({ counts }: Counted, largest: number): string {
  const step = width / counts.length;
  const y = (value: number) => (height * (1 - Math.sqrt(value / largest))).toFixed(1);
  const tops = counts.map(
    (value, i) =>
      `L${(i * step).toFixed(1)} ${y(value)}L${((i + 1) * step).toFixed(1)} ${y(value)}`,
  );
  return `M0 ${height}${tops.join("")}L${width} ${height}Z`;
}

const largestOf = ({ counts }: Counted): number =>
  counts.reduce((largest, value) => Math.max(largest, value), 1);

function draw({ before, after }: Histogram, text: string): SVGElement {
  const largest = Math.max(largestOf(before), after ? largestOf(after) : 1);
  const paths = [
    svg("path", { class: "weights-before", d: outline(before, largest) }),
    ...(after ? [svg("path", { class: "weights-after", d: outline(after, largest) })] : []),
  ];
  const box = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" };
  return svg("svg", { ...box, role: "img", "aria-label": text }, ...paths);
}

const share = (part: number, whole: number) =>
  `${format.format(whole > 0 ? (100 * part) / whole : 0)} %`;

/** "1,024 weights from −0.5 to 0.4, standard deviation 0.1, 0 % zeros" */
const sentence = ({ numValues, min, max, deviation, zeros }: Counted): string =>
  `${count.format(numValues)} weights from ${format.format(min)} to ${format.format(max)}, ` +
  `standard deviation ${format.format(deviation)}, ${share(zeros, numValues)} zeros`;

function show(row: Row, histogram: Histogram): void {
  const { before, after, from, to } = histogram;
  const lines = [
    make("p", { className: "key key-before" }, `Before: ${sentence(before)}.`),
    after
      ? make("p", { className: "key key-after" }, `After: ${sentence(after)}.`)
      : make("p", { className: "hint" }, "Shrink the model to see the weights after."),
  ];
  const texts = lines.map((line) => line.textContent).join(" ");
  ui.histogram.replaceChildren(
    make("figcaption", {}, make("b", {}, visible(row.name)), row.note ? ` · ${row.note}` : ""),
    draw(histogram, `Histogram. ${texts}`),
    make(
      "p",
      { className: "axis" },
      make("span", {}, format.format(from)),
      make("span", {}, format.format(to)),
    ),
    ...lines,
  );
}

export function clearWeights(): void {
  task?.cancel();
  task = undefined;
  ui.histogram.hidden = true;
}

/** Reads the weights, in the worker, and draws them. */
export function showWeights(row: Row, before: Model, after: Files | undefined): void {
  task?.cancel();
  const title = make("figcaption", {}, make("b", {}, visible(row.name)));
  ui.histogram.hidden = false;
  // The drawing before stays until the next is there: the page does not jump.
  if (!ui.histogram.firstChild) ui.histogram.replaceChildren(title);
  const own = library.start("weights", { before, after, name: row.name });
  task = own;
  own.result.then(
    (histogram) => {
      if (task === own) show(row, histogram);
    },
    (error: unknown) => {
      if (task !== own || error instanceof Cancelled) return;
      ui.histogram.replaceChildren(title, make("p", { className: "hint" }, messageOf(error)));
    },
  );
}
