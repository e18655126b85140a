/** Any model: both run on the same inputs, random or given, and their outputs are compared. */
import { formatPercent, formatSqnr, formatError } from "../base/format.js";
import { formatMilliseconds, make, table } from "../base/dom.js";
import type { OutputsComparison } from "./protocol.js";
import type { Runner } from "./runner.js";
import { judgeOutputs, outputsBounds, type Verdict } from "./verdict.js";
import type { View } from "./views.js";

const titles = ["Output", "Cosine", "SQNR", "Largest difference"];
/** Where outputs are scores of classes. */
const topTitle = "Same largest value";

/** More rows than somebody reads would only be slow. */
const maxRows = 100;

const list = (items: readonly string[]): HTMLElement =>
  make("ul", {}, ...items.map((it) => make("li", {}, it)));

export class OutputsView implements View {
  readonly body: HTMLElement;
  readonly bounds = outputsBounds;
  readonly #format: "onnx" | "tfjs";
  readonly #file = make("input", { type: "file", accept: ".json", id: "trial-samples" });
  readonly #found = make("div");

  constructor(format: "onnx" | "tfjs") {
    this.#format = format;
    const label = make("label", { htmlFor: this.#file.id }, "Inputs of your own (JSON)");
    const hint = make(
      "p",
      { className: "trial-note" },
      "Random inputs show what rounding does to the numbers; real ones show more. One sample, or a list: ",
      make("code", {}, '[{"input": {"data": [0.5], "dims": [1, 1], "type": "float32"}}]'),
    );
    const given = make("div", { className: "trial-given" }, label, this.#file);
    const summary = make("summary", {}, "Use inputs of your own");
    this.body = make("div", {}, this.#found, make("details", {}, summary, hint, given));
  }

  async run(runner: Runner, onProgress: (fraction: number) => void): Promise<Verdict> {
    this.#found.replaceChildren();
    const [samples] = this.#file.files ?? [];
    const given = { format: this.#format, ...(samples ? { samples } : {}) };
    const result = await runner.ask("compare", given, onProgress);
    this.#show(result, samples?.name);
    return judgeOutputs(result);
  }

  #show(result: OutputsComparison, file: string | undefined): void {
    const { samples, inputs, outputs, skipped, milliseconds } = result;
    const hasTop = outputs.some(({ top1Agreement }) => top1Agreement !== undefined);
    const rows = table("Outputs of both models", hasTop ? [...titles, topTitle] : titles);
    const worstFirst = [...outputs].sort((a, b) => a.cosine - b.cosine).slice(0, maxRows);
    rows.show(
      worstFirst.map(({ name, cosine, sqnr, maxAbsError, top1Agreement }) => [
        name,
        cosine.toFixed(5),
        formatSqnr(sqnr),
        formatError(maxAbsError),
        ...(hasTop ? [top1Agreement === undefined ? "" : formatPercent(top1Agreement)] : []),
      ]),
    );
    const count = `${samples} ${samples === 1 ? "sample" : "samples"}`;
    const what = file === undefined ? "random numbers (seed 1)" : file;
    const times =
      `Run on ${count} of ${what}: ${formatMilliseconds(milliseconds.small)} each, the original ` +
      `${formatMilliseconds(milliseconds.original)}.`;
    const note = make("p", { className: "trial-note" }, times);
    const scroll = make("div", { className: "table-scroll" }, rows.element);
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Table of outputs");
    this.#found.replaceChildren(note, ...(inputs.length > 0 ? [list(inputs)] : []), scroll);
    if (skipped.length > 0) this.#found.append(list(skipped));
  }
}
