/** The table of tensors: sorts, filters, and has only the rows in sight as elements. */
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";
import { formatBytes } from "modelshrink";
import { visible } from "modelshrink/text";
import { make } from "../base/dom.js";
import { formatError, formatSqnr } from "../base/format.js";
import { ui } from "../base/ui.js";
import type { Files } from "../open/files.js";
import type { Model } from "../work/protocol.js";
import { isCut, isKept, numElements, type Row } from "./changes.js";
import { clearWeights, showWeights } from "./weights.js";

const dimsOf = (shape: readonly number[]) => shape.join(" × ") || "scalar";

function typeOf({ from, to, method }: Row): string {
  const type = from === to ? from : `${from} → ${to}`;
  return method ? `${type}, ${method}` : type;
}

interface Column {
  title: string;
  /** Said in full to those who do not know the short form. */
  meaning?: string;
  isNumber?: boolean;
  key: (row: Row) => string | number | undefined;
  /** The column begins with the largest. */
  isDescending?: boolean;
}

const columns: readonly Column[] = [
  { title: "Tensor", key: ({ name }) => name },
  { title: "Shape", key: numElements, isDescending: true },
  { title: "From → to", key: typeOf },
  { title: "Bytes", key: ({ inputBytes }) => inputBytes, isNumber: true, isDescending: true },
  {
    title: "SQNR",
    meaning: "signal to quantization noise ratio, higher is better",
    key: ({ sqnr }) => sqnr,
    isNumber: true,
  },
  { title: "Max error", key: ({ maxAbsError }) => maxAbsError, isNumber: true, isDescending: true },
];
const bytesColumn = 3;

let all: readonly Row[] = [];
let rows: readonly Row[] = [];
let sorted = { column: bytesColumn, descending: true };
let chosen: string | undefined;
let models: () => { before: Model | undefined; after: Files | undefined } = () => ({
  before: undefined,
  after: undefined,
});

/** What has no value comes last, whatever the direction. */
function compare(a: Row, b: Row): number {
  const key = columns[sorted.column]?.key;
  const [x, y] = [key?.(a), key?.(b)];
  if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
  const order = x < y ? -1 : Number(x > y);
  return sorted.descending ? -order : order;
}

function matches(row: Row, words: readonly string[]): boolean {
  const text = `${row.name} ${typeOf(row)} ${row.note ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function nameCell(row: Row): HTMLTableCellElement {
  const name = visible(row.name);
  const button = make("button", { type: "button", className: "row-name", title: name }, name);
  button.setAttribute("aria-pressed", String(row.name === chosen));
  const note = row.note === undefined ? [] : [make("small", { title: row.note }, row.note)];
  return make("th", { scope: "row" }, button, ...note);
}

function cell(label: string, text: string, className = ""): HTMLTableCellElement {
  const element = make("td", { className }, text);
  // Shown before the value where the table has no head (a narrow screen).
  element.dataset["label"] = label;
  return element;
}

function tableRow(row: Row, index: number): HTMLTableRowElement {
  const kept = isKept(row);
  const bytes = kept
    ? formatBytes(row.inputBytes)
    : `${formatBytes(row.inputBytes)} → ${formatBytes(row.outputBytes)}`;
  const shape = isCut(row)
    ? `${dimsOf(row.shape)} → ${dimsOf(row.outputShape)}`
    : dimsOf(row.shape);
  const element = make(
    "tr",
    { className: kept ? "kept" : "" },
    nameCell(row),
    cell("shape", shape),
    cell("", typeOf(row)),
    cell("", bytes, "number"),
    cell("SQNR", formatSqnr(row.sqnr), "number"),
    cell("max error", formatError(row.maxAbsError), "number"),
  );
  element.dataset["index"] = String(index);
  // The head is row 1.
  element.setAttribute("aria-rowindex", String(index + 2));
  return element;
}

const isNarrow = matchMedia("(max-width: 40rem)");
/** Heights in pixels, as the style sheet has them. */
const rowHeight = () => (isNarrow.matches ? 96 : 48);

const optionsOf = (count: number) => ({
  count,
  getScrollElement: () => ui.tensorScroll,
  estimateSize: rowHeight,
  overscan: 8,
  observeElementRect,
  observeElementOffset,
  scrollToFn: elementScroll,
  onChange: renderRows,
});
const virtualizer = new Virtualizer<HTMLElement, HTMLTableRowElement>(optionsOf(0));

function spacer(place: HTMLElement, height: number): void {
  const row = make("tr");
  row.style.height = `${height}px`;
  place.replaceChildren(...(height > 0 ? [row] : []));
}

/** Makes the rows in sight; the one that has the focus keeps it. */
function renderRows(): void {
  const focused = document.activeElement?.closest<HTMLElement>("#tensors tr")?.dataset["index"];
  const items = virtualizer.getVirtualItems();
  const empty = make("tr", {}, make("td", { colSpan: columns.length }, emptyText()));
  ui.tensors.replaceChildren(
    ...(rows.length === 0
      ? all.length > 0
        ? [empty]
        : []
      : items.flatMap(({ index }) => {
          const row = rows[index];
          return row ? [tableRow(row, index)] : [];
        })),
  );
  spacer(ui.spaceAbove, items[0]?.start ?? 0);
  spacer(ui.spaceBelow, virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0));
  if (focused !== undefined) buttonOf(Number(focused))?.focus({ preventScroll: true });
}

const buttonOf = (index: number): HTMLElement | null =>
  ui.tensors.querySelector<HTMLElement>(`tr[data-index="${index}"] button`);

const emptyText = (): string =>
  ui.filter.value.trim() ? "No tensor has this in its name or type." : "No tensor changes.";

function update(): void {
  const words = ui.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  rows = all
    .filter((row) => (!ui.changedOnly.checked || !isKept(row)) && matches(row, words))
    .sort(compare);
  ui.tensorTable.setAttribute("aria-rowcount", String(rows.length + 1));
  const format = new Intl.NumberFormat("en");
  ui.tensorCount.textContent = `${format.format(rows.length)} of ${format.format(all.length)}`;
  virtualizer.setOptions(optionsOf(rows.length));
  virtualizer._willUpdate();
  virtualizer.measure();
  renderRows();
}

function renderHeads(): void {
  const heads = columns.map(({ title, meaning, isNumber }, index) => {
    const isSorted = sorted.column === index;
    const button = make("button", { type: "button" }, title);
    if (meaning) button.title = meaning;
    button.dataset["column"] = String(index);
    const head = make("th", { scope: "col", className: isNumber ? "number" : "" }, button);
    if (isSorted) head.ariaSort = sorted.descending ? "descending" : "ascending";
    return head;
  });
  ui.tensorHeads.replaceChildren(...heads);
}

function sortBy(index: number): void {
  const isSame = sorted.column === index;
  const descending = isSame ? !sorted.descending : columns[index]?.isDescending === true;
  sorted = { column: index, descending };
  renderHeads();
  update();
  ui.tensorScroll.scrollTop = 0;
  ui.tensorHeads.querySelectorAll("button")[index]?.focus();
}

function chooseRow(index: number): void {
  const row = rows[index];
  const { before, after } = models();
  if (!row || before === undefined) return;
  chosen = row.name;
  for (const button of ui.tensors.querySelectorAll(".row-name")) {
    const isChosen = button.closest("tr")?.dataset["index"] === String(index);
    button.setAttribute("aria-pressed", String(isChosen));
  }
  showWeights(row, before, after);
}

/** The arrows go from row to row, to those out of sight, too. */
function moveFocus(from: number, step: number): void {
  const to = Math.max(0, Math.min(rows.length - 1, from + step));
  virtualizer.scrollToIndex(to);
  requestAnimationFrame(() => {
    buttonOf(to)?.focus({ preventScroll: true });
  });
}

/** Shows the tensors of a plan or a report. */
export function showTensors(tensors: readonly Row[]): void {
  all = tensors;
  update();
  const row = all.find(({ name }) => name === chosen);
  const { before, after } = models();
  if (row && before !== undefined && !ui.histogram.hidden) showWeights(row, before, after);
  else clearWeights();
}

/** `current` gives the model and what became of it, for the weights of a chosen row. */
export function listenForRows(current: typeof models): void {
  models = current;
  renderHeads();
  // The page never goes: nothing has to be taken down.
  virtualizer._didMount();
  virtualizer._willUpdate();
  isNarrow.addEventListener("change", update);
  ui.filter.addEventListener("input", update);
  ui.changedOnly.addEventListener("change", update);
  ui.tensorHeads.addEventListener("click", ({ target }) => {
    const column = target instanceof HTMLElement ? target.dataset["column"] : undefined;
    if (column !== undefined) sortBy(Number(column));
  });
  ui.tensors.addEventListener("click", ({ target }) => {
    const row = target instanceof Element ? target.closest("tr") : null;
    if (row?.dataset["index"] !== undefined) chooseRow(Number(row.dataset["index"]));
  });
  ui.tensors.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target instanceof Element ? event.target.closest("tr") : null;
    if (step === undefined || row?.dataset["index"] === undefined) return;
    event.preventDefault();
    moveFocus(Number(row.dataset["index"]), step);
  });
}
