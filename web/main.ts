import type { Mode, Plan, Preset, Recipe, Report } from "modelshrink";
import { formatBytes, presets } from "modelshrink";
import { formatPercent } from "./format.js";
import type { Answer, Request } from "./protocol.js";
import { samples } from "./samples.js";
import { showTensors } from "./table.js";

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} "${id}".`);
  return found;
}

const ui = {
  drop: element("drop", HTMLElement),
  file: element("file", HTMLInputElement),
  samples: element("samples", HTMLElement),
  error: element("error", HTMLElement),
  work: element("work", HTMLElement),
  options: element("options", HTMLFormElement),
  recipes: element("recipes", HTMLElement),
  modes: element("modes", HTMLFieldSetElement),
  hint: element("hint", HTMLElement),
  name: element("model-name", HTMLElement),
  bars: element("bars", HTMLElement),
  beforeBytes: element("before-bytes", HTMLElement),
  afterBytes: element("after-bytes", HTMLElement),
  shrink: element("shrink", HTMLButtonElement),
  cancel: element("cancel", HTMLButtonElement),
  download: element("download", HTMLAnchorElement),
  progress: element("progress", HTMLProgressElement),
  status: element("status", HTMLElement),
  changedOnly: element("changed-only", HTMLInputElement),
  tensors: element("tensors", HTMLTableSectionElement),
};

const modeHints: Record<Mode, string> = {
  storage: "storage: loads everywhere and runs at full speed; saves download and disk, not memory.",
  dynamic: "dynamic: integer arithmetic, the fastest on WebAssembly; saves memory too.",
  lowmem: "lowmem: stays packed in memory; fast in Node.js and on GPUs.",
};

const isMode = (value: unknown): value is Mode =>
  typeof value === "string" && Object.hasOwn(modeHints, value);
const modeOf = (recipe: Recipe): Mode => recipe.mode ?? "storage";
/** Integers can be written in three ways, floats in one. */
const hasModes = ({ weights }: Recipe): boolean => !weights.includes("float");

function presetNamed(name: string): Preset {
  const preset = presets[name];
  if (!preset) throw new Error(`There is no preset "${name}".`);
  return preset;
}

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const send = (request: Request): void => {
  worker.postMessage(request);
};

let model: { file: Blob; name: string } | undefined;
let shown: Plan | Report | undefined;
/** The id of the only request whose answers still matter. */
let current = 0;

interface Choice {
  preset: string;
  mode: Mode;
  recipe: Recipe;
}

function choice(): Choice {
  const data = new FormData(ui.options);
  const preset = data.get("preset");
  if (typeof preset !== "string") throw new Error("No recipe is chosen.");
  const { recipe } = presetNamed(preset);
  const chosen = data.get("mode");
  const mode = isMode(chosen) ? chosen : modeOf(recipe);
  return { preset, mode, recipe: hasModes(recipe) ? { ...recipe, mode } : recipe };
}

function showError(message: string): void {
  ui.error.textContent = message;
  ui.error.hidden = false;
}

function showSizes(report: Plan | Report): void {
  shown = report;
  const share = report.outputBytes / report.inputBytes;
  ui.bars.style.setProperty("--size-before", "1");
  ui.bars.style.setProperty("--size-after", String(share));
  ui.beforeBytes.textContent = formatBytes(report.inputBytes);
  ui.afterBytes.textContent = `${formatBytes(report.outputBytes)} · ${formatPercent(share)}`;
  showTensors(ui.tensors, report.tensors, ui.changedOnly.checked);
}

function setRunning(running: boolean): void {
  ui.shrink.hidden = running;
  ui.cancel.hidden = !running;
  ui.progress.hidden = !running;
  ui.progress.value = 0;
  ui.options.inert = running;
}

function clearDownload(): void {
  if (ui.download.hidden) return;
  URL.revokeObjectURL(ui.download.href);
  ui.download.hidden = true;
}

function planAgain(): void {
  if (!model) return;
  clearDownload();
  setRunning(false);
  ui.error.hidden = true;
  ui.status.textContent = "Reading the model’s structure…";
  send({ kind: "plan", id: ++current, model: model.file, recipe: choice().recipe });
}

/** A preset brings its own mode; another one can be chosen after it. */
function choosePreset(): void {
  const { recipe } = presetNamed(choice().preset);
  const radios = ui.modes.querySelectorAll<HTMLInputElement>("input");
  for (const radio of radios) radio.checked = radio.value === modeOf(recipe);
  ui.modes.disabled = !hasModes(recipe);
}

function describeChoice(): void {
  const { preset, mode } = choice();
  const { description, recipe } = presetNamed(preset);
  const sentence = `${preset}: ${description}.`;
  ui.hint.textContent = hasModes(recipe) ? `${sentence}\n${modeHints[mode]}` : sentence;
}

function openModel(file: Blob, name: string): void {
  if (model) send({ kind: "cancel", id: current });
  model = { file, name };
  ui.name.textContent = name;
  ui.work.hidden = true;
  planAgain();
}

async function openSample(name: string, url: URL): Promise<void> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    openModel(await response.blob(), name);
  } catch (error) {
    showError(`The sample could not be loaded: ${String(error)}.`);
  }
}

function startShrink(): void {
  if (!model) return;
  clearDownload();
  setRunning(true);
  ui.cancel.focus();
  ui.status.textContent = "Shrinking…";
  send({ kind: "shrink", id: ++current, model: model.file, recipe: choice().recipe });
}

function offerDownload(output: Blob): void {
  if (!model) return;
  const { preset, mode } = choice();
  const isUsual = mode === modeOf(presetNamed(preset).recipe);
  const suffix = isUsual ? preset : `${preset}-${mode}`;
  ui.download.href = URL.createObjectURL(output);
  ui.download.download = model.name.replace(/(\.onnx)?$/i, `.${suffix}.onnx`);
  ui.download.hidden = false;
  ui.shrink.hidden = true;
  ui.download.focus();
}

function receive(answer: Answer): void {
  if (answer.id !== current) return;
  switch (answer.kind) {
    case "planned":
      ui.work.hidden = false;
      showSizes(answer.plan);
      ui.status.textContent = "Planned from the structure alone; this size is exact.";
      break;
    case "progress":
      ui.progress.value = answer.fraction;
      break;
    case "shrunk":
      setRunning(false);
      showSizes(answer.report);
      ui.status.textContent = `Done in ${answer.seconds.toFixed(1)} s.`;
      offerDownload(answer.model);
      break;
    case "cancelled":
      setRunning(false);
      ui.status.textContent = "Cancelled.";
      ui.shrink.focus();
      break;
    case "failed":
      setRunning(false);
      ui.status.textContent = "";
      showError(`${model?.name ?? "The model"}: ${answer.message}`);
      break;
  }
}

function addChoices(): void {
  for (const name of Object.keys(presets)) {
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "preset", value: name, checked: name === "int8" });
    const label = document.createElement("label");
    label.append(input, name);
    ui.recipes.append(label);
  }
  for (const { label, name, url } of samples) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(label);
    button.addEventListener("click", () => void openSample(name, url));
    ui.samples.append(button);
  }
}

function listenForDrops(): void {
  const over = (isOver: boolean) => (event: DragEvent) => {
    event.preventDefault();
    ui.drop.classList.toggle("over", isOver);
  };
  // The whole page takes drops: a near miss must not make the browser leave it.
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    const file = event.dataTransfer?.files[0];
    if (file) openModel(file, file.name);
  });
}

addChoices();
describeChoice();
listenForDrops();
worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  receive(data);
});
worker.addEventListener("error", ({ message }) => {
  showError(`The worker could not start: ${message}`);
});
ui.file.addEventListener("change", () => {
  const file = ui.file.files?.[0];
  if (file) openModel(file, file.name);
  ui.file.value = "";
});
ui.options.addEventListener("change", ({ target }) => {
  if (target instanceof HTMLInputElement && target.name === "preset") choosePreset();
  describeChoice();
  planAgain();
});
ui.shrink.addEventListener("click", startShrink);
ui.cancel.addEventListener("click", () => {
  send({ kind: "cancel", id: current });
});
ui.changedOnly.addEventListener("change", () => {
  if (shown) showTensors(ui.tensors, shown.tensors, ui.changedOnly.checked);
});
