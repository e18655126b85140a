/** The warnings of reports. Loaded where there is something to warn of. */
import { formatBytes } from "../base/bytes.js";
import type { FormatName } from "../base/formats.js";
import { plural } from "../base/plural.js";
import { visible } from "../base/visible.js";
import type { OpenFile } from "../files/source.js";
import type { LayerCounts, Remarks } from "../recipe/order.js";
import { whatSamples } from "../recipe/pruning.js";
import type { Rows } from "../core/table.js";
import type { CoreTensorInfo } from "../core/types.js";
import { isKeptFloat, lowestSqnr, type Findings } from "./findings.js";
import type { KeptFloats, ReportedTensor } from "./types.js";

/** The name of one of several shards, which are meant to be opened by their index. */
const shardName = /-(\d+)-of-(\d+)\.safetensors$/;

function shardWarning({ name }: OpenFile): string | undefined {
  const [, part, count] = shardName.exec(name) ?? [];
  return part === undefined || Number(count) === 1
    ? undefined
    : `"${name}" is part ${Number(part)} of ${Number(count)}: for all of them give their index, ` +
        "model.safetensors.index.json, or their folder.";
}

/** The remark on sparse tensors of a format: where they load. */
const sparseRemarks: Partial<Record<FormatName, string>> = {
  onnx:
    "Sparse initializers load in onnxruntime on CPUs and WebAssembly; its WebGPU build and other " +
    "runtimes may refuse them.",
  safetensors:
    "The bitmask is a legacy format, which newer versions of compressed-tensors do not read. " +
    'Older ones need "quantization_config": {"quant_method": "compressed-tensors", ' +
    '"sparsity_config": {"format": "sparse-bitmask"}} in config.json.',
};

/** Says where sparse tensors load, or why none was written. */
function sparseWarning(format: FormatName, hasSparse: boolean): string | undefined {
  if (hasSparse) return sparseRemarks[format];
  return (
    "No tensor is smaller without its zeros" +
    (format === "onnx" ? ": an entry takes 12 bytes in ONNX, so it needs 67 % zeros." : ".")
  );
}

/** Makes the warning that says why a pruned file is as large as before, and how it becomes small. */
function sparseHint(format: FormatName, { pruned }: Findings): string | undefined {
  const { count, hasFloats, bytes, sparseBytes: sparse, most } = pruned;
  const inFile = format === "safetensors" || (format === "onnx" && most > 0.67);
  if (count === 0 || sparse > 0.95 * bytes) return undefined;
  return (
    `Zeros are stored like other numbers. Of ${plural(count, "tensor")} a quarter or more is zero: ` +
    `${formatBytes(bytes)}, which would be ${formatBytes(sparse)} without zeros. ` +
    (hasFloats
      ? "Quantize as well (weights), send the file compressed (gzip, brotli), or leave zeros out: " +
        (inFile ? "sparse: true in the recipe (--sparse)." : "toSparse(), for your own code.")
      : "Send the file compressed (gzip, brotli).")
  );
}

/** Makes the warning for channels that were not removed, or removed without a fit. */
function channelWarning(
  found: Findings,
  { asksForChannels, isCalibrated }: Remarks,
): string | undefined {
  if (!asksForChannels) return undefined;
  if (!found.isCut) {
    // A graph that could lose nothing is refused: here something else was to stay.
    const { uncut } = found;
    return `No channel is removed${uncut ? `: "${uncut.name}" ${uncut.note}` : ""}.`;
  }
  return isCalibrated
    ? undefined
    : "Channels are removed and nothing is fitted anew, which harms most models: give samples " +
        "(the option calibration, or --inputs of the command).";
}

/** Sums up the floats that stay floats by the operators that consume them, the most bytes first. */
export function keptFloatsIn(
  reported: Rows<ReportedTensor>,
  tensors: Rows<CoreTensorInfo>,
): KeptFloats[] {
  const bytesOf = new Map<string, number>();
  let i = 0;
  for (const tensor of reported) {
    if (isKeptFloat(tensor)) {
      const { consumer } = tensors.at(i)!;
      bytesOf.set(consumer, (bytesOf.get(consumer) ?? 0) + tensor.inputBytes);
    }
    i++;
  }
  return [...bytesOf]
    .map(([consumer, bytes]) => ({ consumer, bytes }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** Names the first tensors of a list. */
function listOf(tensors: readonly ReportedTensor[]): string {
  const names = tensors.slice(0, 3).map(({ name }) => JSON.stringify(name));
  return names.join(", ") + (tensors.length > names.length ? ", …" : "");
}

/** Makes the warning for tensors that go beyond the range of the type that they were to have. */
function rangeWarning({ beyondRange: kept }: Findings): string | undefined {
  if (kept.length === 0) return undefined;
  return (
    `${plural(kept.length, "tensor")} with values beyond the asked type's range, kept as stored: ${listOf(kept)}. ` +
    'overflow: "saturate" writes the type\'s largest value instead.'
  );
}

/** Makes the warning for a model of which a file is not there. */
const missingWarning = ({ missing }: Findings): string | undefined =>
  missing &&
  `A file of the model is missing ("${missing.name}": ${missing.note ?? ""}): what it holds stays as it is, and the output ` +
    "needs that file, too. Put it beside the model, or pass all files.";

/** Makes the warning for tensors that lost much. Of coarse steps that make up for each other's errors only outputs tell. */
function lossWarning(found: Findings): string | undefined {
  const lost = found.lost.sort((a, b) => lowestSqnr(a) - lowestSqnr(b));
  if (lost.length === 0) return undefined;
  return (
    `${plural(lost.length, "tensor")} lost much, or an output of them (SQNR below 10 dB; 16-bit floats: below 30): ` +
    `${listOf(lost)}. A rule gives them another type.`
  );
}

/** Makes the warning on layers whose inputs were seen in few rows. */
function fewRowsWarning({ fitted, few, fewest }: LayerCounts): string | undefined {
  if (!fewest) return undefined;
  const { name, columns, samples, wanted } = fewest;
  return (
    `${few} of ${fitted} layers were seen in few rows: "${visible(name)}" in ${plural(samples, "row")} of ` +
    `${plural(columns, "input")}, where ${wanted} are wanted. Few rows choose weights badly, and fits to them are ` +
    "damped more, or left out (notes say where): give about " +
    `${Math.ceil(wanted / samples)} times the samples.`
  );
}

/** Makes the warnings on layers that a recipe for a calibration does without it, or knows little of. */
function calibrationWarnings(layers: LayerCounts, isCalibrated: boolean): (string | undefined)[] {
  const { fitted, missed, unseen } = layers;
  const all = fitted + missed + unseen;
  if (!isCalibrated) {
    return [
      fitted > 0
        ? `Planned as if all inputs were known; to shrink with this recipe takes samples: ${whatSamples}`
        : undefined,
    ];
  }
  return [
    fewRowsWarning(layers),
    missed > 0
      ? `${missed} of ${all} layers are not in the calibration and are done without it (notes say how); ` +
        "outputs on such samples tell nothing of them: give samples that reach them, or rules that keep them."
      : undefined,
    unseen > 0
      ? `${unseen} of ${all} layers have inputs that cannot be seen, and are done without a calibration ` +
        "(notes say how)."
      : undefined,
  ];
}

/** Gives the warnings that the findings ask for. */
export function warningsOf(
  main: OpenFile,
  format: FormatName,
  found: Findings,
  remarks: Remarks,
): string[] {
  return [
    shardWarning(main),
    missingWarning(found),
    ...(remarks.layers ? calibrationWarnings(remarks.layers, remarks.isCalibrated) : []),
    remarks.asksForSparse ? sparseWarning(format, found.isSparse) : sparseHint(format, found),
    channelWarning(found, remarks),
    rangeWarning(found),
    remarks.rate ? undefined : lossWarning(found),
  ].filter((warning) => warning !== undefined);
}
