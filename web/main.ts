import type { Plan, Report } from "modelshrink";
import { formatBytes } from "modelshrink";
import { formatPercent } from "./format.js";
import { showNotes } from "./notes.js";
import { chosenFiles, droppedFiles, type Files } from "./open.js";
import type { Answer, Request } from "./protocol.js";
import { choice, listenForChoices, offerRecipes } from "./recipe-form.js";
import { formatNamed } from "./recipes.js";
import { samples } from "./samples.js";
import {
  canPickFolder,
  download,
  fitsZip,
  outputName,
  saveToFolder,
  zipOf,
  type Origin,
} from "./save.js";
import { showTensors } from "./table.js";
import { showError, ui } from "./ui.js";

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const send = (request: Request): void => {
  worker.postMessage(request);
};

interface Model extends Origin {
  /** Everything that was dropped or chosen; the library finds the main file. */
  files: Files;
}

let model: Model | undefined;
let outputs: Files = {};
let shown: Plan | Report | undefined;
/** The id of the only request whose answers still matter. */
let current = 0;

/** "a", "a and b", "a, b and 3 more". */
function listNames(names: readonly string[]): string {
  if (names.length <= 2) return names.join(" and ");
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

const nameOfOutput = (from: Model, numFiles: number): string =>
  outputName(from, choice().label, numFiles);

/** What a download will be. */
function describeOutputs(from: Model, { files }: Plan): string {
  const name = nameOfOutput(from, files.length);
  if (files.length === 1) return `Out comes ${name}.`;
  const where = canPickFolder() ? `${name}.zip or a folder` : `${name}.zip`;
  return `Out come ${listNames(files.map((file) => file.name))}, in ${where}.`;
}

/** Gives what is unexpected about them. */
function showReport(report: Plan | Report): string {
  shown = report;
  const share = report.outputBytes / report.inputBytes;
  ui.bars.style.setProperty("--size-before", "1");
  ui.bars.style.setProperty("--size-after", String(share));
  ui.beforeBytes.textContent = formatBytes(report.inputBytes);
  ui.afterBytes.textContent = `${formatBytes(report.outputBytes)} · ${formatPercent(share)}`;
  if (model) ui.outputs.textContent = describeOutputs(model, report);
  showTensors(ui.tensors, report.tensors, ui.changedOnly.checked);
  return showNotes(ui.notes, report);
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
  send({ kind: "plan", id: ++current, model: model.files, recipe: choice().recipe });
}

function openModel(files: Files): void {
  const [first] = Object.keys(files);
  if (first === undefined) {
    showError("There is no file in what was dropped or chosen.");
    return;
  }
  send({ kind: "cancel", id: current });
  clearDownload();
  setRunning(false);
  // Until it is known which file is the main one, errors name what was dropped.
  model = { files, main: first.split("/")[0] ?? first, folder: undefined };
  ui.work.hidden = true;
  ui.error.hidden = true;
  ui.status.textContent = "";
  send({ kind: "open", id: ++current, model: model.files });
}

function showModel({ format, names, suggested }: Extract<Answer, { kind: "opened" }>): void {
  if (!model) return;
  const main = names[0] ?? model.main;
  const path = Object.keys(model.files).find((it) => `/${it}`.endsWith(`/${main}`));
  model = { ...model, main, folder: path?.split("/").at(-2) };
  ui.name.textContent = main;
  const others = names.length > 1 ? ` · ${names.length} files` : "";
  ui.kind.textContent = `${formatNamed(format).title}${others}`;
  offerRecipes(format, suggested);
  planAgain();
}

async function openSample(name: string, url: URL): Promise<void> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}.`);
  openModel({ [name]: new File([await response.blob()], name) });
}

function startShrink(): void {
  if (!model) return;
  clearDownload();
  setRunning(true);
  ui.cancel.focus();
  ui.status.textContent = "Shrinking…";
  send({ kind: "shrink", id: ++current, model: model.files, recipe: choice().recipe });
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

/** Shows what happens to the outputs, as long as they are the current ones. */
async function withStatus(during: string, work: () => Promise<string>): Promise<void> {
  const before = outputs;
  ui.status.textContent = during;
  const after = await work();
  if (outputs === before) ui.status.textContent = after;
}

async function downloadOutputs(): Promise<void> {
  const blobs = Object.values(outputs);
  const [only] = blobs;
  if (!model || !only) return;
  const name = nameOfOutput(model, blobs.length);
  if (blobs.length === 1) {
    download(only, name);
    return;
  }
  await withStatus("Making the zip file…", async () => {
    download(await zipOf(outputs), `${name}.zip`);
    return `${name}.zip is made.`;
  });
}

async function saveOutputs(): Promise<void> {
  if (!model) return;
  const count = Object.keys(outputs).length;
  const name = nameOfOutput(model, count);
  await withStatus("Saving…", async () =>
    (await saveToFolder(outputs, name))
      ? `${count} files are saved in ${name}.`
      : "Nothing is saved.",
  );
}

/** Shows what went wrong with something that the visitor asked for. */
function attempt(what: string, work: () => Promise<void>): void {
  ui.error.hidden = true;
  work().catch((error: unknown) => {
    ui.status.textContent = "";
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
      ui.status.textContent =
        showReport(answer.plan) || "Planned from the structure alone; this size is exact.";
      break;
    case "progress":
      ui.progress.value = answer.fraction;
      break;
    case "shrunk":
      setRunning(false);
      showReport(answer.report);
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
      showError(`${model?.main ?? "The model"}: ${answer.message}`);
      break;
  }
}

function addSamples(): void {
  for (const { label, name, url } of samples) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(label);
    button.addEventListener("click", () => {
      attempt("The sample could not be loaded", () => openSample(name, url));
    });
    ui.samples.append(button);
  }
}

function listenForFiles(): void {
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
  for (const input of [ui.file, ui.folder]) {
    input.addEventListener("change", () => {
      if (input.files?.length) openModel(chosenFiles(input.files));
      input.value = "";
    });
  }
  ui.chooseFolder.addEventListener("click", () => {
    ui.folder.click();
  });
}

addSamples();
listenForFiles();
listenForChoices(planAgain);
worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  receive(data);
});
worker.addEventListener("error", ({ message }) => {
  showError(`The worker could not start: ${message}`);
});
ui.download.addEventListener("click", () => {
  attempt("The download failed", downloadOutputs);
});
ui.save.addEventListener("click", () => {
  attempt("Saving failed", saveOutputs);
});
ui.shrink.addEventListener("click", startShrink);
ui.cancel.addEventListener("click", () => {
  send({ kind: "cancel", id: current });
});
ui.changedOnly.addEventListener("change", () => {
  if (shown) showTensors(ui.tensors, shown.tensors, ui.changedOnly.checked);
});
