/** Says why a run changes no tensor, and what would help. Loaded for such runs alone. */
import { formats, type FormatName } from "../base/formats.js";
import type { ReasonCode } from "../base/reason-table.js";
import type { CoreTensorReport } from "../core/types.js";
import type { QuantizedType } from "../arrays/types.js";
import { presets, presetsOf } from "./presets.js";

/** The facts of a model that advice depends on. */
export interface ModelFacts {
  format: FormatName;
  /** Facts of the format by name, such as the opset of an ONNX model. */
  metadata: Readonly<Record<string, string>>;
}

/** Codes of weights that someone has quantized before. */
const quantizedBefore: readonly (ReasonCode | undefined)[] = [
  "alreadyQuantized",
  "quantizedInGraph",
  "alreadyStored",
  "alreadyInBits",
];

/** Codes of weights that another type may change. */
const otherTypeHelps: readonly (ReasonCode | undefined)[] = [
  "noSuchType",
  "noWeightType",
  "needsOpset",
  "needsIrVersion",
  "isAlready",
  "wouldNotShrink",
  "wouldNotShrinkFurther",
  "notSmaller",
  "shortRows",
  undefined,
];

const noUndo = "What an ONNX graph has quantized is not undone: take the model as it was before.";

/** The first opset of ONNX whose operators take a type. */
const firstOpset: Partial<Record<QuantizedType, number>> = {
  bfloat16: 13,
  float8e4m3: 19,
  float8e5m2: 19,
};

/** Names the presets that files of this kind can have. */
function presetsFor({ format, metadata }: ModelFacts): string {
  const fits = (name: string) => {
    const { weights } = presets[name]!.recipe;
    const least = typeof weights === "string" ? firstOpset[weights] : undefined;
    return format !== "onnx" || least === undefined || !(Number(metadata.opset) < least);
  };
  return presetsOf(format).filter(fits).join(", ");
}

/** True of a reason that no rule helps against. */
const isOutOfReach = (code: ReasonCode | undefined) =>
  code === "inFunction" || code === "fileMissing";

/** The formats in which a rule that names a tensor has it written, whatever it is used for. */
const forcedIn: readonly FormatName[] = ["onnx", "safetensors"];

/** The number of the bytes of tensors, and the largest of them. */
class Group {
  bytes = 0;
  largest: CoreTensorReport | undefined;

  add(tensor: CoreTensorReport): void {
    this.bytes += tensor.inputBytes;
    if (tensor.inputBytes > (this.largest?.inputBytes ?? 0)) this.largest = tensor;
  }
}

/** Types that weights have when somebody has quantized them. */
const narrow = /^(u?int[248]|float8.*|float4.*)$/;

/** Makes the warning for a model none of whose tensors, which are all of `tensors`, is known as a weight. */
function noWeightWarning({ format }: ModelFacts, tensors: Iterable<CoreTensorReport>): string {
  const [floats, narrows] = [new Group(), new Group()];
  for (const tensor of tensors) {
    if (/^b?float(16|32)$/.test(tensor.from)) floats.add(tensor);
    else if (narrow.test(tensor.from)) narrows.add(tensor);
  }
  if (narrows.largest && narrows.bytes > floats.bytes) {
    const { name, from } = narrows.largest;
    const undo = format === "onnx" ? noUndo : "Take the model as it was before.";
    return `No weight is changed: most of the model is quantized already, such as ${JSON.stringify(name)} (${from}). ${undo}`;
  }
  const { largest } = floats;
  const head = "No weight is changed: none is known.";
  if (!largest) return `${head} The model has no tensor of float32, float16 or bfloat16.`;
  const { name, note, reasons } = largest;
  const found = `The largest tensor of floats is ${JSON.stringify(name)}${note ? ` (${note})` : ""}`;
  const rule = "a rule whose match is its whole name has it written in another type all the same";
  const canForce = forcedIn.includes(format) && !isOutOfReach(reasons?.[0]?.code);
  return `${head} ${found}${canForce ? `: ${rule}` : ""}.`;
}

/**
 * Makes the warning for a model that would only be copied; `kept` are its weights, which stay, and `tensors` all that it
 * has. `requantizes` says that the recipe asks for weights that are quantized already, too.
 */
export function idleWarning(
  facts: ModelFacts,
  kept: Iterable<CoreTensorReport>,
  tensors: Iterable<CoreTensorReport>,
  requantizes: boolean,
): string {
  const counts = new Map<string, { count: number; code: ReasonCode | undefined }>();
  let hasWeights = false;
  for (const { note, reasons } of kept) {
    hasWeights = true;
    if (note === undefined) continue;
    const count = (counts.get(note)?.count ?? 0) + 1;
    counts.set(note, { count, code: reasons?.[0]?.code });
  }
  const [most] = [...counts].sort(([, a], [, b]) => b.count - a.count);
  if (!hasWeights) return noWeightWarning(facts, tensors);
  const head = `No weight is changed${most ? ` (${most[1].count} × ${most[0]})` : ""}.`;
  const code = most?.[1].code;
  if (quantizedBefore.includes(code)) {
    if (facts.format === "onnx") return `${head} ${noUndo}`;
    return requantizes ? head : `${head} To quantize it anew: requantize: true (--requantize).`;
  }
  if (code === "tooFewElements")
    return `${head} A recipe's minElements says how small they may be.`;
  if (!otherTypeHelps.includes(code)) return head;
  return `${head} Presets for ${formats[facts.format].title} are ${presetsFor(facts)}.`;
}

/** Makes the warning for a model in which nothing is restored. */
export function nothingToRestore({ format }: ModelFacts, hasQuantized: boolean): string {
  if (format === "onnx" && hasQuantized) return `No weight is restored. ${noUndo}`;
  return "There is no quantized weight in this model that could be restored.";
}
