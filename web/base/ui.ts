/** The page's elements. */
import { visible } from "modelshrink/text";

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} "${id}".`);
  return found;
}

export const ui = {
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
  moreOptions: element("more-options", HTMLElement),
  notes: element("notes", HTMLElement),
  name: element("model-name", HTMLElement),
  kind: element("model-kind", HTMLElement),
  bars: element("bars", HTMLElement),
  beforeBytes: element("before-bytes", HTMLElement),
  afterBytes: element("after-bytes", HTMLElement),
  outputs: element("outputs", HTMLElement),
  shrink: element("shrink", HTMLButtonElement),
  cancel: element("cancel", HTMLButtonElement),
  download: element("download", HTMLButtonElement),
  save: element("save", HTMLButtonElement),
  progress: element("progress", HTMLProgressElement),
  status: element("status", HTMLElement),
  changedOnly: element("changed-only", HTMLInputElement),
  tensors: element("tensors", HTMLTableSectionElement),
  trial: element("trial", HTMLElement),
  cached: element("cached", HTMLElement),
};

export function showError(message: string): void {
  ui.error.textContent = visible(message);
  ui.error.hidden = false;
}
