/** modelshrink/text: reports as text for people: a summary, aligned columns, and in the end what the figures mean. */
import { formatBytes } from "./base/bytes.js";
import { largestOf, smallestOf } from "./base/extremes.js";
import { plural } from "./base/plural.js";
import { visible } from "./base/visible.js";
import { isChanged, isCut, isPruned } from "./models/changes.js";
import { tensorsOf } from "./models/lazy.js";
import type { ModelInfo, Plan, Report, ReportedTensor, TensorInfo } from "./models/types.js";
import type { Verification } from "./runtime/verify.js";

export { plural, visible };

const nameWidth = 44;
const numWorst = 3;
const defaultRows = 20;
const maxFacts = 100;

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
    .map((column, i) => ({ ...column, cells: rows.map((row) => visible(row[i] ?? "")) }))
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

/** Tensors that are only counted. */
interface Tally {
  count: number;
  bytes: number;
}

/** "120 tensors unchanged, 33 kB: 100 × not a weight, 20 × small". */
function unchangedLine({ count, bytes }: Tally, reasons: ReadonlyMap<string, number>): string {
  const why = [...reasons]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([note, times]) => `\n  ${times} × ${shorten(note, 100)}`);
  const head = `${plural(count, "tensor")} unchanged, ${formatBytes(bytes)}`;
  return head + (why.length > 0 ? `:${why.join("")}` : "");
}

/** The rows of the largest values, of any number of rows of which few are kept at a time. */
class LargestRows<T> {
  readonly #most: number;
  readonly #valueOf: (row: T) => number;
  #rows: T[] = [];
  /** All rows that were added. */
  readonly all: Tally = { count: 0, bytes: 0 };

  constructor(most: number, valueOf: (row: T) => number) {
    this.#most = most;
    this.#valueOf = valueOf;
  }

  add(row: T): void {
    this.#rows.push(row);
    this.all.count++;
    this.all.bytes += this.#valueOf(row);
    if (this.#rows.length > 2 * this.#most + 1000) this.#rows = this.#sorted();
  }

  /** Gives those of the largest values; all, in the order in which they came, when there are no more. */
  get rows(): readonly T[] {
    return this.all.count <= this.#most ? this.#rows : this.#sorted();
  }

  /** Gives the line on the others; none when there are no others. */
  restLines(noun: string, more: string | undefined, end = ""): string[] {
    const { count, bytes } = this.all;
    if (count <= this.#most) return [];
    const shown = this.rows.reduce((sum, row) => sum + this.#valueOf(row), 0);
    const hint = more === undefined ? "" : ` (${more})`;
    return [`… ${plural(count - this.#most, noun)}, ${formatBytes(bytes - shown)}${end}${hint}`];
  }

  #sorted(): T[] {
    return this.#rows.sort((a, b) => this.#valueOf(b) - this.#valueOf(a)).slice(0, this.#most);
  }
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

/** What the errors of the changed tensors are. */
class Errors {
  #isPruned = false;
  #count = 0;
  #numLow = 0;
  /** Of those that are not exact. */
  readonly #worst = new LargestRows<{ name: string; sqnr: number }>(numWorst, ({ sqnr }) => -sqnr);

  add(tensor: ReportedTensor): void {
    const { name, sqnr } = tensor;
    this.#isPruned ||= tensor.sparsity !== undefined && (isPruned(tensor) || isCut(tensor));
    if (sqnr === undefined) return;
    this.#count++;
    if (sqnr < lowSqnr) this.#numLow++;
    if (sqnr !== Infinity) this.#worst.add({ name, sqnr });
  }

  /** In words what they mean, and what they do not. */
  lines(): string[] {
    // Zeros, and what was fitted to make up for them, harm the outputs more or less than the weights.
    if (this.#isPruned) {
      return [
        "",
        "SQNR compares weights; of pruned ones only the outputs tell: modelshrink verify.",
      ];
    }
    if (this.#count === 0) return [];
    const worst = [...this.#worst.rows].sort((a, b) => a.sqnr - b.sqnr);
    if (!worst[0]) return ["", "Every changed tensor has exactly the values that it had."];
    return [
      "",
      "Lowest SQNR:",
      ...worst.map(
        ({ name, sqnr }) => `  ${formatSqnr(sqnr).padStart(5)} dB  ${shorten(name, 70)}`,
      ),
      "",
      `Weights differ from the original by at most ${errorText(worst[0].sqnr)} (RMS within a tensor).`,
      ...(this.#numLow > 0
        ? [
            `Below ${lowSqnr} dB, which is much: ${plural(this.#numLow, "tensor")}. Rules can give them a finer type or keep them.`,
          ]
        : []),
      "How much of that the outputs show, only samples tell.",
    ];
  }
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

/** "44.2 MB (64.0 %) stay float: Attention 28.3 MB, Gather 15.9 MB". */
function keptLine({ keptFloats, inputBytes }: Report): string[] {
  if (!keptFloats) return [];
  const all = keptFloats.reduce((sum, { bytes }) => sum + bytes, 0);
  const operators = keptFloats
    .slice(0, 5)
    .map(({ consumer, bytes }) => `${visible(consumer) || "no operator"} ${formatBytes(bytes)}`);
  if (keptFloats.length > operators.length) operators.push("…");
  return [`${formatBytes(all)} (${percent(all, inputBytes)}) stay float: ${operators.join(", ")}`];
}

/** "packed: about 1.48 MB, 4.20 bits for each of 2,667,144 weights, 27.4 dB". */
const rateLine = ({ rate }: Plan): string[] =>
  rate
    ? [
        `packed: about ${formatBytes(rate.packedBytes)}, ${rate.bitsPerWeight.toFixed(2)} bits for ` +
          `each of ${rate.weights.toLocaleString("en")} weights, ${formatSqnr(rate.sqnr)} dB`,
      ]
    : [];

/**
 * Makes a report of `shrink` or `compare` a summary and a table for people; a {@link Plan}, which has no errors,
 * too.
 */
export function formatReport(report: Report, options: TextOptions = {}): string {
  const { maxRows = defaultRows, more } = options;
  const changed = new LargestRows<ReportedTensor>(maxRows, (it) => it.inputBytes);
  const unchanged = { count: 0, bytes: 0 };
  const reasons = new Map<string, number>();
  const errors = new Errors();
  for (const tensor of tensorsOf<ReportedTensor>(report)) {
    if (isOther(tensor)) {
      changed.add(tensor);
      errors.add(tensor);
      continue;
    }
    const { note, inputBytes: bytes } = tensor;
    unchanged.count++;
    unchanged.bytes += bytes;
    if (note) reasons.set(note, (reasons.get(note) ?? 0) + 1);
  }
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
  const { count } = changed.all;
  return [
    `${report.format}: ${formatBytes(inputBytes)} → ${formatBytes(outputBytes)} ` +
      `(${percent(outputBytes, inputBytes)}), ` +
      `${count} of ${plural(count + unchanged.count, "tensor")} changed`,
    ...keptLine(report),
    ...rateLine(report),
    ...(count > 0
      ? [
          "",
          table(columns, changed.rows.map(rowOf)),
          ...changed.restLines("smaller tensor", more, " before"),
        ]
      : []),
    ...(unchanged.count > 0 ? ["", unchangedLine(unchanged, reasons)] : []),
    ...errors.lines(),
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
    .map(({ name, reason }) => `\nNot compared: ${shorten(name, nameWidth)} ${visible(reason)}`)
    .join("");
  const verdict = verificationVerdict(outputs, samples);
  const notes = `${figures}${notFinite}${notCompared}`;
  return `${table(columns, rows)}\n\n${plural(samples, "sample")}${notes}\n${verdict}`;
}

/** Gives the first facts of a model, and how many more there are. */
function factsOf({ metadata, metadataLeftOut = 0 }: ModelInfo): string[] {
  const facts = Object.entries(metadata);
  const numMore = Math.max(facts.length - maxFacts, 0) + metadataLeftOut;
  return [
    ...facts.slice(0, maxFacts).map(([key, value]) => shorten(`${key} ${value}`, 60)),
    ...(numMore > 0 ? [`${numMore} more`] : []),
  ];
}

/** Makes the structure of a model a table for people: the weights one by one, the rest summed up. */
export function formatModelInfo(info: ModelInfo, options: TextOptions = {}): string {
  const { maxRows = defaultRows, more } = options;
  const weights = new LargestRows<TensorInfo>(maxRows, (it) => it.storedBytes);
  const others = { count: 0, bytes: 0 };
  for (const tensor of tensorsOf<TensorInfo>(info)) {
    if (tensor.isWeight || tensor.isSparse) {
      weights.add(tensor);
    } else {
      others.count++;
      others.bytes += tensor.storedBytes;
    }
  }
  const rows = weights.rows.map((tensor) => [
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
  const { all } = weights;
  return [
    [info.format, formatBytes(info.inputBytes), ...factsOf(info)].join(" · "),
    `${plural(all.count, "weight")} (${formatBytes(all.bytes)}), ` +
      `${plural(others.count, "other tensor")} (${formatBytes(others.bytes)})`,
    ...(rows.length > 0
      ? ["", table(columns, rows), ...weights.restLines("smaller weight", more)]
      : []),
  ].join("\n");
}
