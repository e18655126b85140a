import type { Report } from "modelshrink";
import { formatBytes } from "modelshrink";
import { visible } from "modelshrink/text";
import { isCut, isKept, type PlannedTensor } from "./changes.js";
import { formatError, formatSqnr } from "../base/format.js";

type Row = PlannedTensor & Partial<Report["tensors"][number]>;

const dimsOf = (shape: readonly number[]) => shape.join(" × ") || "scalar";

function typeOf({ from, to, method }: Row): string {
  const type = from === to ? from : `${from} → ${to}`;
  return method ? `${type}, ${method}` : type;
}

function nameCell({ name, note }: Row): HTMLTableCellElement {
  const cell = document.createElement("th");
  cell.scope = "row";
  cell.append(visible(name));
  if (note) {
    const small = document.createElement("small");
    small.append(note);
    cell.append(small);
  }
  return cell;
}

function cell(label: string, text: string, className = ""): HTMLTableCellElement {
  const element = document.createElement("td");
  // Shown before the value where the table has no head (a narrow screen).
  element.dataset["label"] = label;
  element.className = className;
  element.append(text);
  return element;
}

function tableRow(tensor: Row): HTMLTableRowElement {
  const row = document.createElement("tr");
  const kept = isKept(tensor);
  row.className = kept ? "kept" : "";
  const bytes = kept
    ? formatBytes(tensor.inputBytes)
    : `${formatBytes(tensor.inputBytes)} → ${formatBytes(tensor.outputBytes)}`;
  row.append(
    nameCell(tensor),
    cell(
      "shape",
      isCut(tensor)
        ? `${dimsOf(tensor.shape)} → ${dimsOf(tensor.outputShape)}`
        : dimsOf(tensor.shape),
    ),
    cell("", typeOf(tensor)),
    cell("", bytes, "number"),
    cell("SQNR", formatSqnr(tensor.sqnr), "number"),
    cell("max error", formatError(tensor.maxAbsError), "number"),
  );
  return row;
}

function emptyRow(): HTMLTableRowElement {
  const row = document.createElement("tr");
  const only = cell("", "No tensor changes.");
  only.colSpan = 6;
  row.append(only);
  return row;
}

/** Shows the tensors of a plan or a report, the largest first. */
export function showTensors(
  body: HTMLTableSectionElement,
  tensors: readonly Row[],
  changedOnly: boolean,
): void {
  const shown = tensors
    .filter((tensor) => !changedOnly || !isKept(tensor))
    .sort((a, b) => b.inputBytes - a.inputBytes);
  body.replaceChildren(...(shown.length > 0 ? shown.map(tableRow) : [emptyRow()]));
}
