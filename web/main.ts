import type { Mode, Plan, Preset, Recipe, Report, Source } from "modelshrink";
import { formatBytes, presets } from "modelshrink";
import { formatPercent } from "./format.js";
import type { Answer, Request } from "./protocol.js";
import { showNotes } from "./notes.js";
import { chosenFiles, droppedFiles, type Files } from "./open.js";
import { formatNames, recipesFor } from "./recipes.js";
import { samples } from "./samples.js";
import { canPickFolder, download, fitsZip, saveToFolder, zipOf } from "./save.js";
import { showTensors } from "./table.js";

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} "${id}".`);
  return found;
}

const ui = {
  drop: element("drop", HTMLElement),
  file: element("file", HTMLInputElement),
  folder: element("folder", HTMLInputElement),
  chooseFolder: element("choose-folder", HTMLButtonElement),
  samples: element("samples", HTMLElement),
  error: element("error", HTMLElement),
  work: element("work", HTMLElement),
  options: element("options", HTMLFormElement),
  recipes: element("recipes", HTMLElement),
  modes: element("modes", HTMLFieldSetElement),
  hint: element("hint", HTMLElement),
  notes: element("notes", HTMLUListElement),
  name: element("model-name", HTMLElement),
  kind: element("model-kind", HTMLElement),
  bars: element("bars", HTMLElement),
  beforeBytes: element("before-bytes", HTMLElement),
  afterBytes: element("after-bytes", HTMLElement),
  shrink: element("shrink", HTMLButtonElement),
  cancel: element("cancel", HTMLButtonElement),
  download: element("download", HTMLButtonElement),
  save: element("save", HTMLButtonElement),
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
/** In ONNX integers can be written in three ways; everything else in one. */
const hasModes = ({ weights }: Recipe): boolean =>
  model?.format === "onnx" && !weights.includes("float");

function presetNamed(name: string): Preset {
  const preset = presets[name];
  if (!preset) throw new Error(`There is no preset "${name}".`);
  return preset;
}

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const send = (request: Request): void => {
  worker.postMessage(request);
};

interface Model {
  source: Source;
  /** The main file's. */
  name: string;
  format: string;
}

let model: Model | undefined;
let outputs: Files = {};
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
  showNotes(ui.notes, report);
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
  outputs = {};
  ui.download.hidden = true;
  ui.save.hidden = true;
}

function planAgain(): void {
  if (!model) return;
  clearDownload();
  setRunning(false);
  ui.error.hidden = true;
  ui.status.textContent = "Reading the model’s structure…";
  send({ kind: "plan", id: ++current, model: model.source, recipe: choice().recipe });
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

function openModel(files: Files): void {
  const names = Object.keys(files);
  const [name] = names;
  if (name === undefined) {
    showError("There is no file in what was dropped or chosen.");
    return;
  }
  send({ kind: "cancel", id: current });
  clearDownload();
  setRunning(false);
  const source = names.length > 1 ? files : (files[name] ?? files);
  const shown = names.length > 1 ? (name.split("/")[0] ?? name) : name;
  model = { source, name: shown, format: "" };
  ui.work.hidden = true;
  ui.error.hidden = true;
  ui.status.textContent = "";
  send({ kind: "open", id: ++current, model: source });
}

/** The main file's own name and format are known now; only the recipes for it are offered. */
function showModel({ format, main, numFiles }: Extract<Answer, { kind: "opened" }>): void {
  if (!model) return;
  model = { ...model, name: main, format };
  ui.name.textContent = main;
  const others = numFiles > 1 ? ` · ${numFiles} files` : "";
  ui.kind.textContent = `${formatNames[format] ?? format}${others}`;
  const names = recipesFor[format] ?? Object.keys(presets);
  const before = choice().preset;
  const chosen = names.includes(before) ? before : names[0];
  for (const label of ui.recipes.querySelectorAll("label")) label.hidden = true;
  for (const name of names) {
    const radio = ui.recipes.querySelector<HTMLInputElement>(`[value="${name}"]`);
    const label = radio?.closest("label");
    if (!radio || !label) continue;
    radio.checked = name === chosen;
    label.hidden = false;
    // In the format's own order.
    ui.recipes.append(label);
  }
  ui.modes.hidden = format !== "onnx";
  choosePreset();
  describeChoice();
  planAgain();
}

async function openSample(name: string, url: URL): Promise<void> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    openModel({ [name]: new File([await response.blob()], name) });
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
  send({ kind: "shrink", id: ++current, model: model.source, recipe: choice().recipe });
}

/** "model.int8.onnx", or what is left of a folder's name for a zip file. */
function outputName(extension: string): string {
  const { preset, mode, recipe } = choice();
  const isUsual = !hasModes(recipe) || mode === modeOf(presetNamed(preset).recipe);
  const suffix = isUsual ? preset : `${preset}-${mode}`;
  return (model?.name ?? "model").replace(/(\.index)?(\.\w+)?$/, `.${suffix}${extension}`);
}

function offerDownload(files: Files): void {
  outputs = files;
  const isOne = Object.keys(files).length === 1;
  ui.download.textContent = isOne ? "Download" : "Download zip";
  ui.download.hidden = !isOne && !fitsZip(files);
  ui.save.hidden = isOne || !canPickFolder();
  ui.shrink.hidden = true;
  if (ui.download.hidden && ui.save.hidden) {
    showError(
      "These files are too large for a zip file, and this browser cannot write into a folder.",
    );
  }
  (ui.download.hidden ? ui.save : ui.download).focus();
}

async function downloadOutputs(): Promise<void> {
  const [[name, only] = ["", undefined], ...others] = Object.entries(outputs);
  if (!only) return;
  if (others.length > 0) download(await zipOf(outputs), outputName(".zip"));
  else download(only, outputName(/\.\w+$/.exec(name)?.[0] ?? ""));
}

async function saveOutputs(): Promise<void> {
  const count = Object.keys(outputs).length;
  if (await saveToFolder(outputs)) ui.status.textContent = `${count} files are saved.`;
}

/** Shows what went wrong with something that the visitor asked for. */
function attempt(what: string, work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    showError(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  });
}

function receive(answer: Answer): void {
  if (answer.id !== current) return;
  switch (answer.kind) {
    case "opened":
      showModel(answer);
      break;
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
      offerDownload(answer.files);
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
    const { dataTransfer } = event;
    if (!dataTransfer) return;
    attempt("The files cannot be read", async () => {
      openModel(await droppedFiles(dataTransfer));
    });
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
for (const input of [ui.file, ui.folder]) {
  input.addEventListener("change", () => {
    if (input.files?.length) openModel(chosenFiles(input.files));
    input.value = "";
  });
}
ui.chooseFolder.addEventListener("click", () => {
  ui.folder.click();
});
ui.download.addEventListener("click", () => {
  attempt("The download failed", downloadOutputs);
});
ui.save.addEventListener("click", () => {
  attempt("Saving failed", saveOutputs);
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
