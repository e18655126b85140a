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
  elsewhere: element("elsewhere", HTMLDetailsElement),
  addressForm: element("address-form", HTMLFormElement),
  address: element("address", HTMLInputElement),
  samples: element("samples", HTMLElement),
  error: element("error", HTMLElement),
  work: element("work", HTMLElement),

  name: element("model-name", HTMLElement),
  kind: element("model-kind", HTMLElement),
  bars: element("bars", HTMLElement),
  beforeBytes: element("before-bytes", HTMLElement),
  afterBytes: element("after-bytes", HTMLElement),
  packedBytes: element("packed-bytes", HTMLElement),
  verdict: element("verdict", HTMLElement),
  slide: element("slide", HTMLElement),
  slider: element("size-slider", HTMLInputElement),
  slideName: element("slide-name", HTMLElement),
  slideEnd: element("slide-end", HTMLElement),
  slideSizes: element("slide-sizes", HTMLElement),
  slideNote: element("slide-note", HTMLElement),
  allSizes: element("all-sizes", HTMLButtonElement),
  hint: element("hint", HTMLElement),
  shrink: element("shrink", HTMLButtonElement),
  restore: element("restore", HTMLButtonElement),
  strip: element("strip", HTMLButtonElement),
  cancel: element("cancel", HTMLButtonElement),
  download: element("download", HTMLButtonElement),
  save: element("save", HTMLButtonElement),
  pack: element("pack", HTMLButtonElement),
  keep: element("keep", HTMLButtonElement),
  keepProgress: element("keep-progress", HTMLProgressElement),
  keepStatus: element("keep-status", HTMLElement),
  progress: element("progress", HTMLProgressElement),
  status: element("status", HTMLElement),
  notes: element("notes", HTMLElement),
  outputs: element("outputs", HTMLElement),

  more: element("more", HTMLDetailsElement),
  options: element("options", HTMLFormElement),
  recipes: element("recipes", HTMLElement),
  refused: element("refused", HTMLElement),
  modes: element("modes", HTMLFieldSetElement),
  modesReason: element("modes-reason", HTMLElement),
  moreOptions: element("more-options", HTMLElement),

  chart: element("chart", HTMLElement),
  chartRows: element("chart-rows", HTMLElement),
  measure: element("measure", HTMLButtonElement),
  measureCancel: element("measure-cancel", HTMLButtonElement),
  measureStatus: element("measure-status", HTMLElement),

  snippetKind: element("snippet-kind", HTMLSelectElement),
  snippet: element("snippet", HTMLElement),
  copy: element("copy", HTMLButtonElement),
  copyStatus: element("copy-status", HTMLElement),

  tensorCount: element("tensor-count", HTMLElement),
  filter: element("filter", HTMLInputElement),
  changedOnly: element("changed-only", HTMLInputElement),
  tensorScroll: element("tensor-scroll", HTMLElement),
  tensorTable: element("tensor-table", HTMLTableElement),
  tensorHeads: element("tensor-heads", HTMLTableRowElement),
  spaceAbove: element("space-above", HTMLTableSectionElement),
  tensors: element("tensors", HTMLTableSectionElement),
  spaceBelow: element("space-below", HTMLTableSectionElement),
  histogram: element("histogram", HTMLElement),
  trial: element("trial", HTMLElement),
  cached: element("cached", HTMLElement),
};

export function showError(message: string): void {
  ui.error.textContent = visible(message);
  ui.error.hidden = false;
  // What went wrong far below on the page is told at its top.
  ui.error.scrollIntoView({ block: "nearest" });
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
