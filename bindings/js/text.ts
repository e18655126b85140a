/** Reports as text for people: aligned columns, human sizes, totals, what to look at. */
import { formatBytes } from "./base/bytes.js";
import { isSparseType } from "./arrays/types.js";
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

const nameWidth = 44;
const numWorst = 3;

/** Cuts a name in its middle: its ends tell more. */
function shorten(name: string, width: number): string {
  // eslint-disable-next-line no-control-regex -- a model's names must not drive the terminal
  const clean = name.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
  if (clean.length <= width) return clean;
  const end = Math.ceil((width - 1) / 2);
  return `${clean.slice(0, width - 1 - end)}…${clean.slice(-end)}`;
}

const shapeOf = (shape: readonly number[]) => shape.join("×") || "scalar";
const formatSqnr = (sqnr: number) => (sqnr === Infinity ? "exact" : sqnr.toFixed(1));
const percent = (part: number, whole: number) =>
  whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–";
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;

interface Column {
  title: string;
  align?: "right";
}

function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const used = columns
    .map((column, i) => ({ ...column, cells: rows.map((row) => row[i] ?? "") }))
    .filter(({ cells }) => cells.some((cell) => cell !== ""));
  const padded = used.map(({ title, align, cells }) => {
    const width = Math.max(title.length, ...cells.map((cell) => cell.length));
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

function worstLines(tensors: readonly ReportedTensor[]): string[] {
  // Zeros, and what was fitted to make up for them, harm the outputs more or less than the weights.
  if (tensors.some((it) => it.sparsity !== undefined && (isPruned(it) || isCut(it)))) {
    return ["", "SQNR compares weights; of pruned ones only the outputs tell: modelshrink verify."];
  }
  const worst = tensors
    .filter(({ sqnr }) => sqnr !== undefined && sqnr !== Infinity)
    .sort((a, b) => a.sqnr! - b.sqnr!)
    .slice(0, numWorst)
    .map(({ name, sqnr }) => `  ${formatSqnr(sqnr!).padStart(5)} dB  ${shorten(name, 70)}`);
  return worst.length > 0 ? ["", "Lowest SQNR:", ...worst] : [];
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

/** Makes a report of `shrink` or `compare` a table and a summary for people; a {@link Plan}, which has no errors, too. */
export function formatReport(report: Report): string {
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
  return [
    ...(changed.length > 0 ? [table(columns, changed.map(rowOf)), ""] : []),
    ...(unchanged.length > 0 ? [unchangedLine(unchanged)] : []),
    `${report.format}: ${formatBytes(inputBytes)} → ${formatBytes(outputBytes)} ` +
      `(${percent(outputBytes, inputBytes)}), ${plural(changed.length, "tensor")} changed`,
    ...worstLines(changed),
    ...(report.warnings ?? []).map((warning) => `Warning: ${warning}`),
  ].join("\n");
}

/** Makes a plan a table and a summary for people. */
export function formatPlan(plan: Plan): string {
  return formatReport(plan);
}

/** Makes the comparison of two models' outputs a table for people. */
export function formatVerification({ samples, outputs, metric }: Verification): string {
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
  return `${table(columns, rows)}\n\n${plural(samples, "sample")}${figures}${notFinite}`;
}

/** Makes the structure of a model a table for people: the weights one by one, the rest summed up. */
export function formatModelInfo(info: ModelInfo): string {
  const isListed = ({ isWeight, type }: TensorInfo) => isWeight || isSparseType(type);
  const weights = info.tensors.filter(isListed);
  const others = info.tensors.filter((tensor) => !isListed(tensor));
  const rows = weights.map((tensor) => [
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
  const otherBytes = others.reduce((bytes, tensor) => bytes + tensor.storedBytes, 0);
  return [
    [info.format, formatBytes(info.inputBytes), ...metadata.map((it) => shorten(it, 60))].join(
      " · ",
    ),
    "",
    ...(rows.length > 0 ? [table(columns, rows), ""] : []),
    `${plural(weights.length, "weight")}, ` +
      `${plural(others.length, "other tensor")} (${formatBytes(otherBytes)})`,
  ].join("\n");
}
