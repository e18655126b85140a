/** Text recognition: what a visitor types is drawn and read back by both models; drawn lines give the verdict. */
import { formatPercent } from "../base/format.js";
import { visible } from "modelshrink/text";
import { formatMilliseconds, make, table } from "../base/dom.js";
import { Cancelled } from "../base/jobs.js";
import { messageOf } from "../base/ui.js";
import { drawLine, judgingLines, typedFont } from "./lines.js";
import type { Pair, Reading } from "./protocol.js";
import { characterErrorRate, compareLetters } from "./reading.mjs";
import type { Runner } from "./runner.js";
import { median } from "./times.js";
import { judgeReading, readingBounds, type Verdict } from "./verdict.js";
import type { View } from "./views.js";

/** What was read, with the letters marked that differ from what was written. */
function marked(written: string, { text }: Reading): HTMLElement {
  const shown = make("span", { className: "trial-read" });
  for (const letter of compareLetters(written, text)) {
    // What was left out has a place, too.
    shown.append(letter.differs ? make("mark", {}, letter.text || "_") : letter.text);
  }
  return text === "" ? make("i", {}, "nothing") : shown;
}

const rowOf = (name: string, written: string, reading: Reading) => [
  name,
  marked(written, reading),
  formatPercent(reading.confidence),
  formatMilliseconds(reading.milliseconds),
];

/** The lines that one of the models did not read as they are written. */
function misread(readings: readonly Pair<Reading>[]): HTMLElement[] {
  return readings.flatMap(({ original, small }, i) => {
    const { text } = judgingLines[i]!;
    if (original.text === text && small.text === text) return [];
    const item = make("li", {}, make("q", {}, text), " is read as ", marked(text, small));
    if (small.text !== original.text) item.append("; the original: ", marked(text, original));
    return [item];
  });
}

/** The time that a visitor has for the next letter, in milliseconds. */
const pause = 250;

export class ReadingView implements View {
  readonly body: HTMLElement;
  readonly bounds = readingBounds;
  readonly #input = make("input", { type: "text", id: "trial-text", maxLength: 60 });
  readonly #canvas = make("canvas", { className: "trial-line" });
  readonly #typed = table("What both models read", ["Model", "Reads", "Confidence", "Time"]);
  readonly #failure = make("p", { className: "trial-note", role: "status" });
  readonly #judged = make("div");
  #runner: Runner | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#input.value = "Small models read well";
    this.#input.autocomplete = "off";
    this.#canvas.setAttribute("role", "img");
    const label = make("label", { htmlFor: this.#input.id }, "Text to draw and to read back");
    const scroll = make("div", { className: "trial-scroll" }, this.#canvas);
    const line = make("div", { className: "trial-typed" }, label, this.#input, scroll);
    this.body = make("div", {}, line, this.#typed.element, this.#failure, this.#judged);
    this.#typed.element.hidden = true;
    this.#input.addEventListener("input", () => {
      this.#draw();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        if (this.#runner) this.#attemptTyped(this.#runner);
      }, pause);
    });
    this.#draw();
  }

  async run(runner: Runner, onProgress: (fraction: number) => void): Promise<Verdict> {
    this.#runner = runner;
    await this.#readTyped(runner);
    const canvas = document.createElement("canvas");
    const lines = judgingLines.map((line) => drawLine(canvas, line));
    const readings = await runner.ask("read", { lines }, onProgress);
    this.#showJudged(readings);
    const written = judgingLines.map(({ text }) => text);
    const rateOf = (key: keyof Pair<Reading>) =>
      characterErrorRate(
        written,
        readings.map((it) => it[key].text),
      );
    return judgeReading(rateOf("original"), rateOf("small"));
  }

  #draw(): ImageData {
    const text = this.#input.value;
    this.#canvas.setAttribute("aria-label", `The line as it is drawn: ${text}`);
    return drawLine(this.#canvas, { text, font: typedFont });
  }

  /** Reads what was typed since; it stands alone, so that nobody else would tell what went wrong. */
  #attemptTyped(runner: Runner): void {
    this.#failure.textContent = "";
    this.#readTyped(runner).catch((error: unknown) => {
      if (error instanceof Cancelled) return;
      this.#typed.element.hidden = true;
      this.#failure.textContent = visible(`It cannot be read: ${messageOf(error)}`);
    });
  }

  async #readTyped(runner: Runner): Promise<void> {
    const text = this.#input.value.trim();
    this.#typed.element.hidden = text === "";
    if (text === "") return;
    const [reading] = await runner.ask("read", { lines: [this.#draw()] });
    // Something else may have been typed meanwhile; its own reading comes later.
    if (!reading || text !== this.#input.value.trim()) return;
    this.#typed.show([
      rowOf("Original", text, reading.original),
      rowOf("Small", text, reading.small),
    ]);
  }

  #showJudged(readings: readonly Pair<Reading>[]): void {
    const letters = judgingLines.reduce((count, { text }) => count + text.length, 0);
    const timeOf = (key: keyof Pair<Reading>) =>
      formatMilliseconds(median(readings.map((it) => it[key].milliseconds)));
    const sum =
      `Judged on ${readings.length} drawn lines of ${letters} letters. A line takes the small model ` +
      `${timeOf("small")}, the original ${timeOf("original")}.`;
    const wrong = misread(readings);
    this.#judged.replaceChildren(make("p", { className: "trial-note" }, sum));
    if (wrong.length === 0) return;
    const title = `${wrong.length} of them ${wrong.length === 1 ? "is" : "are"} not read as written`;
    const list = make("ul", { className: "trial-misread" }, ...wrong);
    this.#judged.append(make("details", {}, make("summary", {}, title), list));
  }
}
