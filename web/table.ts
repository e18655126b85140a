import type { Plan, Report } from "modelshrink";
import { formatBytes } from "modelshrink";
import { formatError, formatSqnr } from "./format.js";

type Row = Plan["tensors"][number] & Partial<Report["tensors"][number]>;

function nameCell({ name, note }: Row): HTMLTableCellElement {
  const cell = document.createElement("th");
  cell.scope = "row";
  cell.append(name);
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
  const kept = tensor.from === tensor.to;
  row.className = kept ? "kept" : "";
  const bytes = kept
    ? formatBytes(tensor.inputBytes)
    : `${formatBytes(tensor.inputBytes)} → ${formatBytes(tensor.outputBytes)}`;
  row.append(
    nameCell(tensor),
    cell("shape", tensor.shape.join(" × ") || "scalar"),
    cell("", kept ? tensor.from : `${tensor.from} → ${tensor.to}`),
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
    .filter(({ from, to }) => !changedOnly || from !== to)
    .sort((a, b) => b.inputBytes - a.inputBytes);
  body.replaceChildren(...(shown.length > 0 ? shown.map(tableRow) : [emptyRow()]));
}
