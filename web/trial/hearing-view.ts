/** Voice detection: what both models hear in a sentence, drawn over time. */
import { formatMilliseconds, make } from "../base/dom.js";
import type { Hearing } from "./protocol.js";
import type { Runner } from "./runner.js";
import { frameSeconds } from "./speech.mjs";
import { hearingBounds, judgeHearing, type Verdict } from "./verdict.js";
import type { View } from "./views.js";

const namespace = "http://www.w3.org/2000/svg";

function shape(tag: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** A line of probabilities over their numbers; 1 is at the top. */
const lineOf = (probabilities: readonly number[], className: string): SVGElement =>
  shape("polyline", {
    class: className,
    points: probabilities.map((it, i) => `${i},${(100 * (1 - it)).toFixed(2)}`).join(" "),
  });

/** Draws both models' probabilities. */
function chart({ original, small }: Hearing["probabilities"]): SVGElement {
  const svg = shape("svg", {
    class: "trial-chart",
    viewBox: `0 -4 ${original.length - 1} 108`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": "The probability of speech over time: of the original and of the small model.",
  });
  const bound = shape("line", { class: "trial-bound", x1: 0, x2: original.length, y1: 50, y2: 50 });
  svg.append(bound, lineOf(original, "trial-original"), lineOf(small, "trial-small"));
  return svg;
}

export class HearingView implements View {
  readonly body = make("div");
  readonly bounds = hearingBounds;

  async run(runner: Runner, onProgress: (fraction: number) => void): Promise<Verdict> {
    const { probabilities, milliseconds } = await runner.ask("listen", {}, onProgress);
    const seconds = probabilities.original.length * frameSeconds;
    const legend = make(
      "p",
      { className: "trial-legend" },
      make("span", { className: "trial-original" }, "original"),
      make("span", { className: "trial-small" }, "small"),
    );
    const times =
      `A spoken sentence with a second of silence before and after it, ${seconds.toFixed(1)} s. A moment of ` +
      `${(1000 * frameSeconds).toFixed(0)} ms takes the small model ${formatMilliseconds(milliseconds.small)}, ` +
      `the original ${formatMilliseconds(milliseconds.original)}.`;
    const title = make("p", { className: "trial-note" }, "Probability of speech over time");
    const axis = make("p", { className: "trial-axis" }, "0 s");
    axis.append(make("span", {}, `${seconds.toFixed(1)} s`));
    const note = make("p", { className: "trial-note" }, times);
    this.body.replaceChildren(title, legend, chart(probabilities), axis, note);
    return judgeHearing(probabilities);
  }
}
