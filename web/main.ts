import type { Plan, Report } from "modelshrink";
import { formatBytes } from "modelshrink";
import { visible } from "modelshrink/text";
import { formatPercent } from "./base/format.js";
import { showNotes } from "./result/notes.js";
import { chosenFiles, droppedFiles, type Files } from "./open/files.js";
import { Output } from "./result/output.js";
import type { Answer, Request } from "./work/protocol.js";
import { choice, listenForChoices, offerRecipes } from "./recipe/form.js";
import { formatNamed } from "./recipe/formats.js";
import { samples, type Sample } from "./open/samples.js";
import {
  canPickFolder,
  download,
  fitsZip,
  outputName,
  saveToFolder,
  zipOf,
  type Origin,
} from "./result/save.js";
import { showTensors } from "./result/table.js";
import { showError, ui } from "./base/ui.js";
import { mountCached } from "./cached/panel.js";
import { mountTrial } from "./trial/panel.js";

const worker = new Worker(new URL("./work/worker.ts", import.meta.url), { type: "module" });
const send = (request: Request): void => {
  worker.postMessage(request);
};

interface Model extends Origin {
  /** Everything that was dropped or chosen; the library finds the main file. */
  files: Files;
  /** The sample that it is. */
  sample: Sample | undefined;
}

const trial = mountTrial(ui.trial);
const cached = mountCached(ui.cached, (files) => {
  intent++;
  openModel(files);
});

let model: Model | undefined;
let output: Output | undefined;
let shown: Plan | Report | undefined;
/** The id of the only request whose answers still matter. */
let current = 0;
/** The number of what the visitor last asked for: files that arrive for something older are too late. */
let intent = 0;

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
  ui.bars.hidden = false;
  ui.beforeBytes.textContent = formatBytes(report.inputBytes);
  ui.afterBytes.textContent = `${formatBytes(report.outputBytes)} · ${formatPercent(share)}`;
  if (model) ui.outputs.textContent = visible(describeOutputs(model, report));
  showTensors(ui.tensors, report.tensors, ui.changedOnly.checked);
  return showNotes(ui.notes, report);
}

/** There is nothing to show of this recipe. */
function clearReport(): void {
  ui.bars.hidden = true;
  ui.notes.hidden = true;
  ui.outputs.textContent = "";
  ui.tensors.replaceChildren();
}

function setRunning(running: boolean): void {
  ui.shrink.hidden = running;
  ui.cancel.hidden = !running;
  ui.progress.hidden = !running;
  ui.progress.value = 0;
  ui.options.inert = running;
}

function clearDownload(): void {
  output?.letGo();
  output = undefined;
  ui.download.hidden = true;
  ui.save.hidden = true;
  trial.clear();
  cached.clear();
}

function planAgain(): void {
  if (!model) return;
  clearDownload();
  setRunning(false);
  shown = undefined;
  ui.error.hidden = true;
  ui.status.textContent = "Reading the model’s structure…";
  send({ kind: "plan", id: ++current, model: model.files, recipe: choice().recipe });
}

function openModel(files: Files, sample?: Sample): void {
  const [first] = Object.keys(files);
  if (first === undefined) {
    showError("There is no file in what was dropped or chosen.");
    return;
  }
  send({ kind: "cancel", id: current });
  clearDownload();
  setRunning(false);
  // Until it is known which file is the main one, errors name what was dropped.
  model = { files, main: first.split("/")[0] ?? first, folder: undefined, sample };
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
  ui.name.textContent = visible(main);
  const others = names.length > 1 ? ` · ${names.length} files` : "";
  ui.kind.textContent = `${formatNamed(format).title}${others}`;
  offerRecipes(format, suggested);
  planAgain();
}

async function sampleFiles(name: string, url: URL): Promise<Files> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}.`);
  return { [name]: new File([await response.blob()], name) };
}

/** Opens what `find` gives, unless the visitor has gone on to something else by then. */
function openFound(failure: string, find: () => Promise<Files>, sample?: Sample): void {
  const own = ++intent;
  ui.error.hidden = true;
  find().then(
    (files) => {
      if (own === intent) openModel(files, sample);
    },
    (error: unknown) => {
      if (own === intent) showError(`${failure}: ${messageOf(error)}`);
    },
  );
}

function startShrink(): void {
  if (!model) return;
  intent++;
  clearDownload();
  setRunning(true);
  ui.cancel.focus();
  ui.status.textContent = "Shrinking…";
  send({ kind: "shrink", id: ++current, model: model.files, recipe: choice().recipe });
}

function offerDownload(files: Files, release: () => void): void {
  output = new Output(files, release);
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

function offerTrial({ files, report }: Extract<Answer, { kind: "shrunk" }>): void {
  if (!model) return;
  const { files: original, sample } = model;
  const { format } = report;
  trial.offer({ original, small: files, format, report, sampleName: sample?.name });
  if (sample) cached.offer({ url: sample.url, recipe: choice().recipe });
}

/** Shows what happens to the output, as long as it is the current one. */
async function withStatus(during: string, work: (files: Files) => Promise<string>): Promise<void> {
  const before = output;
  ui.status.textContent = during;
  const after = await before?.during(work);
  if (output === before && after !== undefined) ui.status.textContent = after;
}

async function downloadOutput(): Promise<void> {
  const from = output;
  const blobs = Object.values(from?.files ?? {});
  const [only] = blobs;
  if (!model || !from || !only) return;
  const name = nameOfOutput(model, blobs.length);
  if (blobs.length === 1) {
    void from.during(() => download(only, name));
    return;
  }
  await withStatus("Making the zip file…", async (files) => {
    const zip = await zipOf(files);
    // It refers to the files.
    void from.during(() => download(zip, `${name}.zip`));
    return `${name}.zip is made.`;
  });
}

async function saveOutput(): Promise<void> {
  if (!model || !output) return;
  const count = Object.keys(output.files).length;
  const name = nameOfOutput(model, count);
  await withStatus("Saving…", async (files) =>
    (await saveToFolder(files, name))
      ? `${count} files are saved in ${name}.`
      : "Nothing is saved.",
  );
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Shows what went wrong with something that the visitor asked for. */
function attempt(what: string, work: () => Promise<void>): void {
  ui.error.hidden = true;
  work().catch((error: unknown) => {
    ui.status.textContent = "";
    showError(`${what}: ${messageOf(error)}`);
  });
}

/** With the model's name, which some messages have already. */
function aboutModel(message: string): string {
  const name = model?.main ?? "The model";
  return message.includes(name) ? message : `${name}: ${message}`;
}

function receive(answer: Answer): void {
  const { id } = answer;
  const release = () => {
    send({ kind: "release", id });
  };
  if (id !== current) {
    if (answer.kind === "shrunk") release();
    return;
  }
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
      offerDownload(answer.files, release);
      offerTrial(answer);
      break;
    case "cancelled":
      setRunning(false);
      ui.status.textContent = "Cancelled.";
      ui.shrink.focus();
      break;
    case "failed":
      setRunning(false);
      ui.status.textContent = "";
      if (!shown) clearReport();
      showError(aboutModel(answer.message));
      break;
  }
}

function addSamples(): void {
  for (const sample of samples) {
    const { label, name, url } = sample;
    const button = document.createElement("button");
    button.type = "button";
    button.append(label);
    button.addEventListener("click", () => {
      openFound("The sample could not be loaded", () => sampleFiles(name, url), sample);
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
    openFound("The files cannot be read", () => droppedFiles(dataTransfer));
  });
  for (const input of [ui.file, ui.folder]) {
    input.addEventListener("change", () => {
      const chosen = input.files;
      if (chosen?.length) {
        openFound(
          "The files cannot be read",
          () =>
            new Promise((resolve) => {
              resolve(chosenFiles(chosen));
            }),
        );
      }
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
  attempt("The download failed", downloadOutput);
});
ui.save.addEventListener("click", () => {
  attempt("Saving failed", saveOutput);
});
ui.shrink.addEventListener("click", startShrink);
ui.cancel.addEventListener("click", () => {
  send({ kind: "cancel", id: current });
});
ui.changedOnly.addEventListener("change", () => {
  if (shown) showTensors(ui.tensors, shown.tensors, ui.changedOnly.checked);
});
