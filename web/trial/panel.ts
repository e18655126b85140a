/** The card that says in plain words what a shrink has done to a model. */
import type { FormatName, Report } from "modelshrink";
import type { Files } from "../open/files.js";
import { button, make } from "../base/dom.js";
import { messageOf } from "../base/ui.js";
import { HearingView } from "./hearing-view.js";
import { isTooLarge, limitText, roomForOriginal } from "./limits.js";
import { OutputsView } from "./outputs-view.js";
import { ReadingView } from "./reading-view.js";
import { Runner } from "./runner.js";
import "./trial.css";
import { judgeWeights, showVerdict, weightsBounds, type Verdict } from "./verdict.js";
import type { View } from "./views.js";

/** A model and what was made of it. */
export interface Offer {
  /** Its files; or what downloads them whole, which only happens when the visitor asks for it and they are not too large. */
  original: Files | ((limits: { maxBytes: number; signal: AbortSignal }) => Promise<Files>);
  small: Files;
  format: FormatName;
  /** The report of the shrink. */
  report: Report;
  /** The file name of a sample of this page; its trial is its own, and begins by itself. */
  sampleName?: string | undefined;
}

export interface Trial {
  /** Takes the place of what was offered before. */
  offer(offer: Offer): void;
  /** Ends what is under way, and shows nothing. */
  clear(): void;
}

const viewsOfSamples: Readonly<Record<string, () => View>> = {
  "ch_PP-OCRv4_rec_infer.onnx": () => new ReadingView(),
  "silero_vad_v5.onnx": () => new HearingView(),
};

class Panel implements Trial {
  readonly #place: HTMLElement;
  readonly #onVerdict: (verdict: Verdict | undefined) => void;
  readonly #verdict = make("p", { className: "trial-verdict" });
  readonly #bounds = make("p", { className: "trial-note" });
  readonly #progress = make("progress", { max: 1, value: 0, hidden: true });
  readonly #try: HTMLButtonElement;
  readonly #cancel: HTMLButtonElement;
  readonly #body = make("div", { className: "trial-body" });
  #view: View | undefined;
  #offer: Offer | undefined;
  #runner: Runner | undefined;
  #download: AbortController | undefined;
  /** The number of the run whose outcome still matters. */
  #current = 0;

  constructor(place: HTMLElement, onVerdict: (verdict: Verdict | undefined) => void) {
    this.#place = place;
    this.#onVerdict = onVerdict;
    this.#try = button("Try it", () => void this.#run());
    this.#cancel = button("Cancel the trial", () => {
      this.#stop();
      this.#show({ level: "none", words: "Cancelled" });
      this.#try.focus();
    });
    this.#cancel.hidden = true;
    this.#verdict.setAttribute("role", "status");
    this.#progress.setAttribute("aria-label", "Trying");
    const actions = make("div", { className: "actions" }, this.#try, this.#cancel, this.#progress);
    const title = make("h2", {}, "Does it still work?");
    place.classList.add("trial");
    place.replaceChildren(title, this.#verdict, actions, this.#body, this.#bounds);
    this.clear();
  }

  offer(offer: Offer): void {
    const { original, format, report, sampleName } = offer;
    this.clear();
    this.#offer = offer;
    this.#place.hidden = false;
    const isRun = format === "onnx" || format === "tfjs";
    this.#try.parentElement!.hidden = !isRun || isTooLarge(report);
    this.#bounds.textContent = isRun ? "" : weightsBounds;
    if (!isRun) {
      this.#show(judgeWeights(report));
      return;
    }
    if (isTooLarge(report)) {
      this.#show({ level: "none", words: limitText(report) });
      return;
    }
    const own = viewsOfSamples[sampleName ?? ""];
    this.#view = own?.() ?? new OutputsView(format);
    this.#body.replaceChildren(this.#view.body);
    this.#bounds.textContent = this.#view.bounds;
    const isElsewhere = typeof original === "function";
    this.#try.textContent = isElsewhere ? "Download the original and try it" : "Try it";
    if (own) void this.#run();
    else {
      const why = isElsewhere
        ? "Not tried yet: the original model is downloaded whole for it, then both are run"
        : "Not tried yet: run the original and the small model";
      this.#show({ level: "none", words: why });
    }
  }

  clear(): void {
    this.#stop();
    this.#view = undefined;
    this.#offer = undefined;
    this.#runner = undefined;
    this.#place.hidden = true;
    this.#body.replaceChildren();
    this.#verdict.textContent = "";
    this.#onVerdict(undefined);
  }

  #stop(): void {
    this.#current++;
    this.#download?.abort();
    this.#runner?.stop();
    this.#setRunning(false);
  }

  #setRunning(running: boolean): void {
    this.#try.hidden = running;
    this.#cancel.hidden = this.#progress.hidden = !running;
    this.#progress.value = 0;
  }

  #show(verdict: Verdict): void {
    showVerdict(this.#verdict, verdict);
    this.#onVerdict(verdict);
  }

  async #runnerFor({ original, small, report }: Offer): Promise<Runner> {
    if (typeof original !== "function") return new Runner({ original, small });
    this.#show({ level: "none", words: "Downloading the original model" });
    this.#download = new AbortController();
    const { signal } = this.#download;
    const files = await original({ maxBytes: roomForOriginal(report), signal });
    return new Runner({ original: files, small });
  }

  async #run(): Promise<void> {
    const [view, offer, own] = [this.#view, this.#offer, ++this.#current];
    if (!view || !offer) return;
    const isCurrent = () => own === this.#current;
    this.#setRunning(true);
    let verdict: Verdict;
    try {
      const runner = this.#runner ?? (await this.#runnerFor(offer));
      // Meanwhile another model may have been offered, which this is no runner for.
      if (!isCurrent()) return;
      this.#runner = runner;
      this.#show({ level: "none", words: "Running the original and the small model" });
      verdict = await view.run(runner, (fraction) => {
        if (isCurrent()) this.#progress.value = fraction;
      });
    } catch (error) {
      if (!isCurrent()) return;
      // A runtime that has failed once is in no known state: the next try has a new one.
      this.#runner?.stop();
      const why = messageOf(error);
      verdict = { level: "none", words: `It cannot be tried here: ${why.replace(/\.$/, "")}` };
    }
    if (!isCurrent()) return;
    this.#setRunning(false);
    this.#try.textContent = "Try it again";
    this.#show(verdict);
  }
}

/** Makes the card in its place; it is hidden until something is offered. `onVerdict` gets what it says. */
export const mountTrial = (
  place: HTMLElement,
  onVerdict: (verdict: Verdict | undefined) => void,
): Trial => new Panel(place, onVerdict);
