/** The page: a model is opened, recipes are planned, one is carried out. */
import type { Plan, Recipe, Report } from "modelshrink";
import { visible } from "modelshrink/text";
import { Cancelled, type Task } from "./base/jobs.js";
import { messageOf, showError, ui } from "./base/ui.js";
import { mountCached } from "./cached/panel.js";
import { downloadAll } from "./open/address.js";
import type { Files } from "./open/files.js";
import { forgetPending, listenForModels } from "./open/panel.js";
import type { Sample } from "./open/samples.js";
import {
  choice,
  choose,
  chosenPreset,
  isPlain,
  isPlainMode,
  listenForChoices,
  offerRecipes,
  recipesOf,
  showSizes,
  want,
} from "./recipe/form.js";
import { listenForCode, showCode } from "./recipe/code.js";
import { formatNamed } from "./recipe/formats.js";
import {
  canRestore,
  clearQuantized,
  isQuantized,
  listenForStripping,
  showQuantized,
  showStrip,
} from "./recipe/quantized.js";
import { foreseePacked, isCostly, mayLook, planSizes, stopSizes } from "./recipe/sizes.js";
import {
  listenForSlides,
  markVerdicts,
  moveTo,
  offeredOf,
  resetSlider,
  showSlider,
} from "./recipe/slider.js";
import { sqnrOf } from "./result/changes.js";
import {
  addPoint,
  clearChart,
  clearPoints,
  listenForMeasuring,
  markChosen,
  showChart,
} from "./result/chart.js";
import {
  clearDelivery,
  describeOutputs,
  listenForDelivery,
  offerDelivery,
  outputFiles,
} from "./result/deliver.js";
import { showNotes } from "./result/notes.js";
import { outputName, type Origin } from "./result/save.js";
import { showPacked, showSize } from "./result/size.js";
import { listenForRows, showTensors } from "./result/table.js";
import { mountTrial } from "./trial/panel.js";
import { showVerdict, type Verdict } from "./trial/verdict.js";
import { library } from "./work/client.js";
import type { Model, Opened, Sized } from "./work/protocol.js";

interface Current extends Origin {
  /** Everything that was dropped or chosen, or an address; the library finds the main file. */
  model: Model;
  opened: Opened | undefined;
  /** The sample that it is. */
  sample: Sample | undefined;
}

let current: Current | undefined;
/** What trials have said of recipes; it goes with the options that they were tried with. */
const verdicts = new Map<string, Verdict>();
/** The recipe whose output is offered, as long as nothing is set beside it. */
let tried: string | undefined;

const trial = mountTrial(ui.trial, (verdict) => {
  if (verdict && verdict.level !== "none" && tried !== undefined) {
    verdicts.set(tried, verdict);
    markVerdicts(verdicts);
  }
  showVerdict(ui.verdict, verdict ?? verdicts.get(current?.opened ? chosenPreset() : ""));
});
const cached = mountCached(ui.cached, (files) => {
  forgetPending();
  openModel(files);
});

let shown: Plan | Report | undefined;
let known: ReadonlyMap<string, Sized> = new Map<string, Sized>();
/** The only task whose answer still matters. */
let task: Task<unknown> | undefined;

/** With the model's name, which some messages have already. */
function aboutModel(message: string): string {
  const name = current?.main ?? "The model";
  return message.includes(name) ? message : `${name}: ${message}`;
}

/** Shows a report; gives what is unexpected about it. */
function showReport(report: Plan | Report, label: string): string {
  shown = report;
  showSize(report.inputBytes, report.outputBytes);
  const isIdle = report.isIdle === true;
  ui.outputs.textContent =
    current && !isIdle ? visible(describeOutputs(current, label, report)) : "";
  showTensors(report.tensors);
  return showNotes(ui.notes, report);
}

/** Forgets what recipes did: they are others now. */
function forgetRuns(): void {
  verdicts.clear();
  showVerdict(ui.verdict, undefined);
  markVerdicts(verdicts);
}

/** There is nothing to show of this recipe. */
function clearReport(): void {
  ui.bars.hidden = true;
  ui.notes.hidden = true;
  ui.outputs.textContent = "";
  showTensors([]);
}

function setRunning(running: boolean): void {
  ui.shrink.hidden = running;
  showStrip(!running);
  const opened = current?.opened;
  ui.restore.hidden = running || !opened || !canRestore(opened);
  ui.cancel.hidden = !running;
  ui.progress.hidden = !running;
  ui.progress.value = 0;
  ui.options.inert = running;
  ui.slider.disabled = running;
}

const isRunning = () => ui.options.inert;

/** Waits for a task; `onResult` hears of it only when the visitor has asked for nothing else meanwhile. */
function follow<T>(own: Task<T>, onResult: (result: T) => void): void {
  task?.cancel();
  task = own;
  own.result.then(
    (result) => {
      if (task === own) onResult(result);
      else own.release();
    },
    (error: unknown) => {
      if (task !== own) return;
      setRunning(false);
      ui.status.textContent = "";
      if (error instanceof Cancelled) {
        ui.status.textContent = "Cancelled.";
        ui.shrink.focus();
        return;
      }
      if (!shown) clearReport();
      showError(aboutModel(messageOf(error)));
    },
  );
}

function clearOutput(): void {
  clearDelivery();
  trial.clear();
  cached.clear();
}

function planAgain(): void {
  // What comes late, of a thumb or of a number, is in the choice that a run has begun with.
  if (!current || isRunning()) return;
  clearOutput();
  setRunning(false);
  shown = undefined;
  ui.error.hidden = true;
  ui.status.textContent = "Reading the model’s structure…";
  const { recipe, label } = choice();
  const { model, opened } = current;
  const hasTarget = recipe.target !== undefined;
  const looks = hasTarget && opened !== undefined && mayLook(model, opened.inputBytes);
  follow(library.start("plan", { model, recipe, looks }), (plan) => {
    ui.work.hidden = false;
    const headline = showReport(plan, label);
    showForeseen(plan.rate?.packedBytes);
    const how = looks ? "by a look at the weights" : "from the structure alone";
    const what = hasTarget && !looks ? "it may be smaller" : "this size is exact";
    ui.status.textContent = headline || `Planned ${how}; ${what}.`;
    ui.shrink.disabled = plan.isIdle === true;
    showSnippet(plan);
  });
}

/** Shows what the packed file of the chosen recipe is foreseen to take, where that is known. */
function showForeseen(
  packedBytes = isPlainMode() ? known.get(chosenPreset())?.packedBytes : undefined,
): void {
  if (packedBytes !== undefined) showPacked(packedBytes, false);
}

function showSnippet({ files }: Plan): void {
  if (!current?.opened) return;
  const { model, main, opened } = current;
  const { name, recipe, label } = choice();
  showCode({
    preset: name,
    recipe,
    format: opened.format,
    main: typeof model === "string" ? model : main,
    output: outputName(current, label, files.length),
    isOneFile: files.length === 1,
  });
}

/** What the slider has to say beside the sizes. */
function slideNote(opened: Opened, numOffered: number): string {
  if (numOffered === 0)
    return "No recipe makes this model smaller. The list of more recipes says why.";
  return isQuantized(opened)
    ? "This model is quantized already. These recipes quantize it again, or the floats it still has."
    : "";
}

/** Sizes of all recipes are known: chooses another one when the chosen one changes nothing. */
function offerSizes(opened: Opened, found: ReadonlyMap<string, Sized>): void {
  const { inputBytes } = opened;
  // What was quantized is not made larger again by quantizing it: restoring does that.
  const useful = [...found.values()].map((it) =>
    it.requantizes && it.outputBytes >= inputBytes
      ? { ...it, requantizes: false, refusal: "The model is smaller already." }
      : it,
  );
  known = new Map(useful.map((it) => [it.name, it]));
  const offered = offeredOf(known.values());
  const chosen = known.get(chosenPreset());
  const nearest = offered.find((it) => it.outputBytes < inputBytes) ?? offered[0];
  showSizes(known);
  const changes = chosen === undefined || chosen.refusal !== undefined || chosen.requantizes;
  if (changes && nearest && !isRunning()) {
    choose(chosen?.requantizes ? chosen.name : nearest.name);
    showSizes(known);
    planAgain();
  }
  if (!current) return;
  const { model } = current;
  const looks = offered.length > 0 && mayLook(model, inputBytes);
  offerRecipesBySize(model, opened, offered, !looks);
  if (looks) lookForPacked(model, opened, offered);
  // Where the visitor has set options, these may be what leaves nothing to change.
  const isLeftAlone = offered.length === 0 && isQuantized(opened) && isPlain();
  if (isLeftAlone) showQuantized(model, opened);
}

/** Shows recipes on the slider and in the chart; `isWhole` as of `showSlider`. */
function offerRecipesBySize(
  model: Model,
  opened: Opened,
  offered: Sized[],
  isWhole: boolean,
): void {
  const { inputBytes } = opened;
  showSlider(offered, inputBytes, chosenPreset(), isWhole);
  showChart({ model, inputBytes, offered, recipes: recipesOf(), chosen: chosenPreset() });
  markVerdicts(verdicts);
  ui.slideNote.textContent = slideNote(opened, offered.length);
}

/** Foresees the packed files of what is offered, which gives the recipes their order. */
function lookForPacked(model: Model, opened: Opened, offered: readonly Sized[]): void {
  const recipes = recipesOf().filter(({ name }) => offered.some((it) => it.name === name));
  foreseePacked({ model, recipes }, (found) => {
    known = new Map([...known].map(([name, it]) => [name, { ...it, ...found.get(name) }]));
    showSizes(known);
    offerRecipesBySize(model, opened, offeredOf(known.values()), true);
    const isPlan = shown !== undefined && outputFiles() === undefined && !isRunning();
    if (isPlan) showForeseen();
  });
}

/** Shows which recipe is chosen, on the slider and in the table below the chart. */
function showChosen(name: string): void {
  moveTo(name);
  markChosen(name);
}

function planAllSizes(): void {
  const { model, opened } = current ?? {};
  if (model === undefined || !opened) return;
  forgetRuns();
  known = new Map();
  clearQuantized();
  clearChart();
  showSizes(known);
  resetSlider("Working out the sizes of all recipes…");
  showChosen(chosenPreset());
  ui.allSizes.hidden = true;
  const mayRequantize = opened.format !== "onnx" && opened.quantizedBytes > 0;
  planSizes(
    { model, recipes: recipesOf(), mayRequantize },
    (found) => {
      offerSizes(opened, found);
    },
    resetSlider,
  );
}

/** Plans the sizes of all recipes at once, or offers to where that takes long. */
function offerAllSizes(): void {
  const { model, opened } = current ?? {};
  if (model === undefined || !opened) return;
  if (!isCostly(model, opened.numTensors)) {
    planAllSizes();
    return;
  }
  stopSizes();
  forgetRuns();
  clearChart();
  resetSlider("");
  showChosen(chosenPreset());
  ui.allSizes.hidden = false;
}

function showModel(from: Current, opened: Opened): void {
  const { format, names } = opened;
  const main = names[0] ?? from.main;
  const path =
    typeof from.model === "string"
      ? undefined
      : Object.keys(from.model).find((it) => `/${it}`.endsWith(`/${main}`));
  current = { ...from, main, folder: path?.split("/").at(-2), opened };
  ui.name.textContent = visible(main);
  const others = names.length > 1 ? ` · ${names.length} files` : "";
  ui.kind.textContent = `${formatNamed(format).title}${others}`;
  offerRecipes(opened);
  planAgain();
  offerAllSizes();
}

function openModel(model: Model, sample?: Sample): void {
  const first = typeof model === "string" ? model.split("/").at(-1) : Object.keys(model)[0];
  if (first === undefined) {
    showError("There is no file in what was dropped or chosen.");
    return;
  }
  stopSizes();
  forgetRuns();
  clearOutput();
  setRunning(false);
  // Until it is known which file is the main one, errors name what was dropped.
  const main = first.split("/")[0] ?? first;
  const own = { model, main, folder: undefined, opened: undefined, sample };
  current = own;
  shown = undefined;
  known = new Map();
  clearQuantized();
  resetSlider("");
  ui.work.hidden = true;
  ui.error.hidden = true;
  ui.status.textContent = "";
  follow(library.start("open", { model }), (opened) => {
    showModel(own, opened);
  });
}

function run(recipe: Recipe | undefined, label: string): void {
  if (!current) return;
  const from = current;
  forgetPending();
  clearOutput();
  ui.error.hidden = true;
  setRunning(true);
  ui.cancel.focus();
  ui.status.textContent = recipe ? "Shrinking…" : "Restoring floats…";
  const own: Task<{ report: Report; files: Files; seconds: number }> = library.start(
    "shrink",
    { model: from.model, recipe },
    (fraction) => {
      if (task === own) ui.progress.value = fraction;
    },
  );
  const isMeasured = label === choice().label && isPlainMode();
  const preset = chosenPreset();
  follow(own, ({ report, files, seconds }) => {
    setRunning(false);
    const { outputBytes } = report;
    if (isMeasured) addPoint({ name: preset, outputBytes, sqnr: sqnrOf(report) });
    // The weights after it are those of what is offered.
    offerDelivery(from, label, files, own.release);
    showStrip(false);
    showReport(report, label);
    ui.status.textContent = `Done in ${seconds.toFixed(1)} s.`;
    const { model, sample, opened } = from;
    const { format } = report;
    tried = isMeasured ? preset : undefined;
    // A trial reads again and again: what is elsewhere would be fetched each time.
    const original =
      typeof model === "string"
        ? (limits: { maxBytes: number; signal: AbortSignal }) =>
            downloadAll(model, opened?.names ?? [], limits)
        : model;
    trial.offer({ original, small: files, format, report, sampleName: sample?.name });
    const url = typeof model === "string" ? new URL(model) : sample?.url;
    if (url && recipe) cached.offer({ url, recipe });
  });
}

/** Time for a thumb that is still moving, in milliseconds. */
const slideDelay = 150;
let sliding: ReturnType<typeof setTimeout> | undefined;

listenForModels(openModel);
listenForDelivery();
listenForMeasuring((name) => {
  // A run keeps the recipe that it has begun with.
  if (isRunning()) return;
  want(name);
  showChosen(name);
  planAgain();
});
listenForCode();
listenForRows(() => ({ before: current?.model, after: outputFiles() }));
listenForChoices(
  () => {
    showChosen(chosenPreset());
    planAgain();
  },
  (isMode) => {
    planAgain();
    if (isMode) {
      clearPoints();
      forgetRuns();
    } else offerAllSizes();
  },
);
listenForSlides(({ name, outputBytes }) => {
  want(name);
  markChosen(name);
  showVerdict(ui.verdict, verdicts.get(name));
  if (current?.opened && isPlainMode()) {
    showSize(current.opened.inputBytes, outputBytes);
    showForeseen();
  }
  clearTimeout(sliding);
  sliding = setTimeout(planAgain, slideDelay);
});
ui.allSizes.addEventListener("click", planAllSizes);
ui.shrink.addEventListener("click", () => {
  const { recipe, label } = choice();
  run(recipe, label);
});
listenForStripping((recipe) => {
  run(recipe, "stripped");
});
ui.restore.addEventListener("click", () => {
  run(undefined, "restored");
});
ui.cancel.addEventListener("click", () => {
  task?.cancel();
});
