/** Reports: the core's entries, with the recipe's reasons and the warnings. */
import { formatBytes } from "../base/bytes.js";
import type { FormatName } from "../base/formats.js";
import { plural } from "../base/plural.js";
import { explain, hasReason } from "../recipe/reasons.js";
import { elementsOf } from "../base/shape.js";
import type { CoreReport } from "../core/types.js";
import type { OpenFile } from "../files/source.js";
import type { Remarks } from "../recipe/order.js";
import { isChanged, isCut, isIdle, isPruned } from "./changes.js";
import { toFiles } from "./inspect.js";
import type { OpenModel } from "./open.js";
import { sparseWarning } from "./sparse.js";
import type { Report, PlannedTensor, ReportedTensor } from "./types.js";

/** The name of one of several shards, which are meant to be opened by their index. */
const shardName = /-(\d+)-of-(\d+)\.safetensors$/;

function shardWarning({ name }: OpenFile): string | undefined {
  const [, part, count] = shardName.exec(name) ?? [];
  return part === undefined || Number(count) === 1
    ? undefined
    : `"${name}" is part ${Number(part)} of ${Number(count)}: for all of them give their index, ` +
        "model.safetensors.index.json, or their folder.";
}

/** Gives the bytes of a tensor as a bitmask: its values without zeros, and a bit for each element. */
function sparseBytes({ shape, outputBytes, sparsity = 0 }: ReportedTensor): number {
  return outputBytes * (1 - sparsity) + elementsOf(shape) / 8;
}

/** Makes the warning that says why a pruned file is as large as before, and how it becomes small. */
function sparseHint(format: FormatName, tensors: readonly ReportedTensor[]): string | undefined {
  const pruned = tensors.filter((it) => isPruned(it) && (it.sparsity ?? 0) >= 0.25);
  const isFloat = pruned.some(({ to }) => to.startsWith("float"));
  const inFile =
    format === "safetensors" ||
    (format === "onnx" && pruned.some(({ sparsity = 0 }) => sparsity > 0.67));
  const now = pruned.reduce((bytes, { outputBytes }) => bytes + outputBytes, 0);
  const sparse = pruned.reduce((bytes, tensor) => bytes + sparseBytes(tensor), 0);
  if (pruned.length === 0 || sparse > 0.95 * now) return undefined;
  return (
    `Zeros are stored like other numbers: the ${pruned.length} pruned tensors take ` +
    `${formatBytes(now)}, and would take ${formatBytes(sparse)} without them. ` +
    (isFloat
      ? "Quantize as well (weights), send the file compressed (gzip, brotli), or leave zeros out: " +
        (inFile ? "sparse: true in the recipe (--sparse)." : "toSparse(), for your own code.")
      : "Send the file compressed (gzip, brotli).")
  );
}

/** Makes the warning for channels that were not removed, or removed without a fit. */
function channelWarning(
  tensors: readonly PlannedTensor[],
  { asksForChannels, isCalibrated }: Remarks,
): string | undefined {
  if (!asksForChannels) return undefined;
  if (!tensors.some(isCut)) {
    // A graph that could lose nothing is refused: here something else was to stay.
    const kept = tensors.find((it) => hasReason(it, "keepsChannels"));
    return `No channel is removed${kept ? `: "${kept.name}" ${kept.note}` : ""}.`;
  }
  return isCalibrated
    ? undefined
    : "Channels are removed and nothing is fitted anew, which harms most models: give samples " +
        "(the option calibration, or --inputs of the command).";
}

/** Names the first tensors of a list. */
function listOf(tensors: readonly ReportedTensor[]): string {
  const names = tensors.slice(0, 3).map(({ name }) => JSON.stringify(name));
  return names.join(", ") + (tensors.length > names.length ? ", …" : "");
}

/** Makes the warning for tensors that go beyond the range of the type that they were to have. */
function rangeWarning(tensors: readonly ReportedTensor[]): string | undefined {
  const kept = tensors.filter((it) => hasReason(it, "outOfRange"));
  if (kept.length === 0) return undefined;
  return (
    `${plural(kept.length, "tensor")} with values beyond the asked type's range, kept as stored: ${listOf(kept)}. ` +
    'overflow: "saturate" writes the type\'s largest value instead.'
  );
}

/** The lowest SQNR in dB that raises no warning: errors of 3 % (RMS) for 16 bits, of a third for fewer. */
const leastSqnr = (type: string) => (type.endsWith("float16") ? 30 : 10);

/** Makes the warning for tensors that lost more than rounding costs, though nothing of them was pruned. */
function lossWarning(tensors: readonly ReportedTensor[]): string | undefined {
  const lost = tensors
    .filter((it) => isChanged(it) && !isPruned(it) && !isCut(it))
    .filter(({ sqnr = Infinity, to }) => sqnr < leastSqnr(to))
    .sort((a, b) => (a.sqnr ?? 0) - (b.sqnr ?? 0));
  if (lost.length === 0) return undefined;
  return (
    `${plural(lost.length, "tensor")} lost much (SQNR below 10 dB, or 30 dB with 16 bits of float): ${listOf(lost)}. ` +
    "A rule gives them another type."
  );
}

/** Adds to the core's report the recipe's reasons, and the warnings. */
export async function toReport(
  opened: OpenModel,
  core: CoreReport,
  remarks: Remarks,
): Promise<Report> {
  const [main] = opened.files;
  const { files, tensors, ...rest } = core;
  for (const [i, tensor] of tensors.entries()) {
    const reason = remarks.reasons[i];
    if (reason && !tensor.reasons) explain(tensor, reason);
  }
  const report = { ...rest, files: toFiles(files), tensors };
  const warnings = [
    main && shardWarning(main),
    ...remarks.warnings,
    remarks.asksForSparse ? sparseWarning(core.format, tensors) : sparseHint(core.format, tensors),
    channelWarning(tensors, remarks),
    rangeWarning(tensors),
    lossWarning(tensors),
    tensors.some(isChanged) ? undefined : await remarks.ifIdle(core, opened.info),
  ].filter((warning) => warning !== undefined);
  return {
    ...report,
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(isIdle(tensors, remarks.order) ? { isIdle: true } : {}),
  };
}
