/** modelshrink/text: reports as text for people: a summary, aligned columns, and in the end what the figures mean. */
import { formatBytes } from "./base/bytes.js";
import { largestOf, smallestOf } from "./base/extremes.js";
import { plural } from "./base/plural.js";
import { visible } from "./base/visible.js";
import { isChanged, isCut, isPruned } from "./models/changes.js";
import type {
  ModelInfo,
  Plan,
  PlannedTensor,
  Report,
  ReportedTensor,
  TensorInfo,
} from "./models/types.js";
import type { Verification } from "./runtime/verify.js";

export { plural };

const nameWidth = 44;
const numWorst = 3;
const defaultRows = 20;

/** The extent of a report that is shown. */
export interface TextOptions {
  /** The table's rows at most: the largest tensors come first then. 20 by default; Infinity for all. */
  maxRows?: number;
  /** How a reader gets the other rows, for the line that sums them up. */
  more?: string;
}

/** A safe name of at most `width` characters. The ends of a name tell more than its middle. */
function shorten(name: string, width: number): string {
  const clean = visible(name);
  if (clean.length <= width) return clean;
  const end = Math.ceil((width - 1) / 2);
  return `${clean.slice(0, width - 1 - end)}…${clean.slice(-end)}`;
}

const shapeOf = (shape: readonly number[]) => shape.join("×") || "scalar";
const formatSqnr = (sqnr: number) => (sqnr === Infinity ? "exact" : sqnr.toFixed(1));

/** "26.7 %". */
export const percent = (part: number, whole: number): string =>
  whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–";

interface Column {
  title: string;
  align?: "right";
}

function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const used = columns
    .map((column, i) => ({ ...column, cells: rows.map((row) => row[i] ?? "") }))
    .filter(({ cells }) => cells.some((cell) => cell !== ""));
  const padded = used.map(({ title, align, cells }) => {
    const width = largestOf(
      cells.map((cell) => cell.length),
      title.length,
    );
    const pad = (cell: string) => (align === "right" ? cell.padStart(width) : cell.padEnd(width));
    return [title, ...cells].map(pad);
  });
  return [...rows.keys(), rows.length]
    .map((i) =>
      padded
        .map((cells) => cells[i])
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const isOther = (tensor: ReportedTensor) =>
  isChanged(tensor) || (tensor.sqnr !== undefined && tensor.sqnr !== Infinity);

const sum = (tensors: readonly PlannedTensor[]) =>
  tensors.reduce((bytes, tensor) => bytes + tensor.inputBytes, 0);

/** "120 tensors unchanged, 33 kB: 100 × not a weight, 20 × small". */
function unchangedLine(tensors: readonly PlannedTensor[]): string {
  const reasons = new Map<string, number>();
  for (const { note } of tensors) {
    if (note) reasons.set(note, (reasons.get(note) ?? 0) + 1);
  }
  const why = [...reasons]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([note, count]) => `\n  ${count} × ${shorten(note, 100)}`);
  const head = `${plural(tensors.length, "tensor")} unchanged, ${formatBytes(sum(tensors))}`;
  return head + (why.length > 0 ? `:${why.join("")}` : "");
}

/** Zeros that come of rounding are not worth a column. */
const minShownSparsity = 0.1;

/** Errors of this SQNR are a tenth of the values' size. */
const lowSqnr = 20;

/** The error that a SQNR in dB stands for: "3.0 % of their size". */
function errorText(sqnr: number): string {
  if (sqnr < 0) return "more than their own size";
  return `${(100 * 10 ** (-sqnr / 20)).toPrecision(2)} % of their size`;
}

/** In words what the errors of the changed tensors mean, and what they do not. */
function verdictLines(tensors: readonly ReportedTensor[]): string[] {
  // Zeros, and what was fitted to make up for them, harm the outputs more or less than the weights.
  if (tensors.some((it) => it.sparsity !== undefined && (isPruned(it) || isCut(it)))) {
    return ["", "SQNR compares weights; of pruned ones only the outputs tell: modelshrink verify."];
  }
  const measured = tensors
    .flatMap(({ name, sqnr }) => (sqnr === undefined ? [] : [{ name, sqnr }]))
    .sort((a, b) => a.sqnr - b.sqnr);
  const [worst] = measured;
  if (!worst) return [];
  if (worst.sqnr === Infinity)
    return ["", "Every changed tensor has exactly the values that it had."];
  const numLow = measured.filter(({ sqnr }) => sqnr < lowSqnr).length;
  return [
    "",
    "Lowest SQNR:",
    ...measured
      .filter(({ sqnr }) => sqnr !== Infinity)
      .slice(0, numWorst)
      .map(({ name, sqnr }) => `  ${formatSqnr(sqnr).padStart(5)} dB  ${shorten(name, 70)}`),
    "",
    `Weights differ from the original by at most ${errorText(worst.sqnr)} (RMS within a tensor).`,
    ...(numLow > 0
      ? [
          `Below ${lowSqnr} dB, which is much: ${plural(numLow, "tensor")}. Rules can give them a finer type or keep them.`,
        ]
      : []),
    "How much of that the outputs show, only samples tell.",
  ];
}

/** The rows that are shown, and a line on those that are not. */
function cutRows<T>(
  rows: readonly T[],
  bytesOf: (row: T) => number,
  { maxRows = defaultRows, more }: TextOptions,
  rest: (rows: readonly T[]) => string,
): { shown: readonly T[]; restLines: string[] } {
  if (rows.length <= maxRows) return { shown: rows, restLines: [] };
  const sorted = [...rows].sort((a, b) => bytesOf(b) - bytesOf(a));
  const hint = more === undefined ? "" : ` (${more})`;
  return {
    shown: sorted.slice(0, maxRows),
    restLines: [`… ${rest(sorted.slice(maxRows))}${hint}`],
  };
}

function rowOf(tensor: ReportedTensor): string[] {
  const { from, to, method, sqnr, maxAbsError, cosine, sparsity = 0 } = tensor;
  const type = to.startsWith(from) ? to : `${from} → ${to}`;
  return [
    shorten(tensor.name, nameWidth),
    [...new Set([shapeOf(tensor.shape), shapeOf(tensor.outputShape)])].join(" → "),
    method ? `${type}, ${method}` : type,
    formatBytes(tensor.inputBytes),
    formatBytes(tensor.outputBytes),
    sparsity < minShownSparsity ? "" : percent(sparsity, 1),
    sqnr === undefined ? "" : formatSqnr(sqnr),
    maxAbsError === undefined ? "" : maxAbsError.toPrecision(3),
    cosine === undefined ? "" : cosine.toFixed(6),
    shorten(tensor.note ?? "", 60),
  ];
}

/**
 * Makes a report of `shrink` or `compare` a summary and a table for people; a {@link Plan}, which has no errors,
 * too.
 */
export function formatReport(report: Report, options: TextOptions = {}): string {
  const changed = report.tensors.filter(isOther);
  const unchanged = report.tensors.filter((tensor) => !isOther(tensor));
  const columns: Column[] = [
    { title: "tensor" },
    { title: "shape" },
    { title: "type" },
    { title: "before", align: "right" },
    { title: "after", align: "right" },
    { title: "zeros", align: "right" },
    { title: "SQNR dB", align: "right" },
    { title: "max error", align: "right" },
    { title: "cosine", align: "right" },
    { title: "note" },
  ];
  const { inputBytes, outputBytes } = report;
  const { shown, restLines } = cutRows(
    changed,
    (it) => it.inputBytes,
    options,
    (rest) => `${plural(rest.length, "smaller tensor")}, ${formatBytes(sum(rest))} before`,
  );
  return [
    `${report.format}: ${formatBytes(inputBytes)} → ${formatBytes(outputBytes)} ` +
      `(${percent(outputBytes, inputBytes)}), ` +
      `${changed.length} of ${plural(report.tensors.length, "tensor")} changed`,
    ...(changed.length > 0 ? ["", table(columns, shown.map(rowOf)), ...restLines] : []),
    ...(unchanged.length > 0 ? ["", unchangedLine(unchanged)] : []),
    ...verdictLines(changed),
    ...(report.warnings ?? []).flatMap((warning) => ["", `Warning: ${visible(warning)}`]),
  ].join("\n");
}

/** Makes a plan a summary and a table for people. */
export function formatPlan(plan: Plan, options: TextOptions = {}): string {
  return formatReport(plan, options);
}

/** In words what the outputs' differences are. */
function verificationVerdict(outputs: Verification["outputs"], samples: number): string {
  if (outputs.some(({ nonFinite }) => nonFinite !== undefined)) {
    return "One model gives NaN or infinity where the other does not: find out why before you use it.";
  }
  const on = `on ${plural(samples, "sample")}`;
  const sqnr = smallestOf(outputs.map((it) => it.sqnr));
  if (sqnr === Infinity) return `The outputs are the same ${on}.`;
  return `The outputs differ by at most ${errorText(sqnr)} ${on} (RMS within an output).`;
}

/** Makes the comparison of two models' outputs a table for people. */
export function formatVerification({ samples, outputs, skipped, metric }: Verification): string {
  const columns: Column[] = [
    { title: "output" },
    { title: "SQNR dB", align: "right" },
    { title: "cosine", align: "right" },
    { title: "max error", align: "right" },
    { title: "top-1 agreement", align: "right" },
  ];
  const rows = outputs.map(({ name, sqnr, cosine, maxAbsError, top1Agreement }) => [
    shorten(name, nameWidth),
    formatSqnr(sqnr),
    cosine.toFixed(6),
    maxAbsError.toPrecision(3),
    top1Agreement === undefined ? "" : percent(top1Agreement, 1),
  ]);
  const figures = metric
    ? `\nmetric: ${metric.original.toPrecision(4)} → ${metric.shrunk.toPrecision(4)}`
    : "";
  const notFinite = outputs
    .filter(({ nonFinite }) => nonFinite !== undefined)
    .map(
      (it) =>
        `\n${shorten(it.name, nameWidth)}: NaN or infinity in one model only, ${it.nonFinite!} ×`,
    )
    .join("");
  const notCompared = skipped
    .map(({ name, reason }) => `\nNot compared: ${shorten(name, nameWidth)} ${reason}`)
    .join("");
  const verdict = verificationVerdict(outputs, samples);
  const notes = `${figures}${notFinite}${notCompared}`;
  return `${table(columns, rows)}\n\n${plural(samples, "sample")}${notes}\n${verdict}`;
}

/** Makes the structure of a model a table for people: the weights one by one, the rest summed up. */
export function formatModelInfo(info: ModelInfo, options: TextOptions = {}): string {
  const isListed = ({ isWeight, isSparse }: TensorInfo) => isWeight || isSparse;
  const weights = info.tensors.filter(isListed);
  const others = info.tensors.filter((tensor) => !isListed(tensor));
  const bytesOf = (tensors: readonly TensorInfo[]) =>
    formatBytes(tensors.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0));
  const { shown, restLines } = cutRows(
    weights,
    (it) => it.storedBytes,
    options,
    (rest) => `${plural(rest.length, "smaller weight")}, ${bytesOf(rest)}`,
  );
  const rows = shown.map((tensor) => [
    shorten(tensor.name, nameWidth),
    shapeOf(tensor.shape),
    tensor.quantized ? `${tensor.type} quantized` : tensor.type,
    formatBytes(tensor.storedBytes),
    tensor.consumer,
    shorten(tensor.note ?? "", 60),
  ]);
  const columns: Column[] = [
    { title: "weight" },
    { title: "shape" },
    { title: "type" },
    { title: "size", align: "right" },
    { title: "used by" },
    { title: "note" },
  ];
  const metadata = Object.entries(info.metadata).map(([key, value]) => `${key} ${value}`);
  return [
    [info.format, formatBytes(info.inputBytes), ...metadata.map((it) => shorten(it, 60))].join(
      " · ",
    ),
    `${plural(weights.length, "weight")} (${bytesOf(weights)}), ` +
      `${plural(others.length, "other tensor")} (${bytesOf(others)})`,
    ...(rows.length > 0 ? ["", table(columns, rows), ...restLines] : []),
  ].join("\n");
}
