/** The commands that read models: inspect, plan, compare, verify. */
import { formatBytes } from "../base/bytes.js";
import { ModelShrinkError } from "../base/errors.js";
import { visible } from "../base/visible.js";
import { someRow } from "../core/table.js";
import type { Source } from "../files/source.js";
import { compareModels } from "../models/compare.js";
import { inspect } from "../models/inspect.js";
import { maxTimeoutMs, readingOf } from "../models/options.js";
import { joined, tensorsOf } from "../models/lazy.js";
import type { ReportedTensor, TensorInfo } from "../models/types.js";
import { plan } from "../plan.js";
import { checkRecipe } from "../recipe/check.js";
import type { Recipe } from "../recipe/options.js";
import { usesSamples } from "../recipe/pruning.js";
import { calibrate } from "../runtime/calibrate.js";
import { verify } from "../runtime/verify.js";
import {
  formatModelInfo,
  formatPlan,
  formatReport,
  formatVerification,
  plural,
  type TextOptions,
} from "../text.js";
import { forEachModel, sizesText, type ModelOutcome } from "./batch.js";
import type { Context, Invocation, Outcome } from "./command.js";
import { verifyHint } from "./hints.js";
import { refuseWithoutInputs, runtimeFor } from "./onnxruntime.js";
import type { OptionValues } from "./options.js";
import { standardStream } from "./outputs.js";
import { recipeFrom } from "./recipe-options.js";
import { readStandardInput } from "./standard-streams.js";
import { UsageError } from "./usage-error.js";

/** The model that an operand names. */
export async function sourceOf(operand: string, { signal }: Context): Promise<Source> {
  return operand === standardStream ? readStandardInput(process.stdin, signal) : operand;
}

/** The extent of a table that is shown. */
export const textOptions = ({ all }: OptionValues): TextOptions =>
  all ? { maxRows: Infinity } : { more: "--all shows them" };

/** Gives the options of functions that read for a command. */
export const runOptions = (context: Context) => ({
  ...readingOf(context),
  onProgress: context.onProgress,
});

/** Gives the time of --timeout-ms; undefined where it is not given. */
export function timeoutFrom({ "timeout-ms": text }: OptionValues): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= maxTimeoutMs) return value;
  throw new UsageError(
    `--timeout-ms is "${text}"; it must be a whole number from 1 to ${maxTimeoutMs}.`,
  );
}

export function runInspect({ operands, values }: Invocation, context: Context): Promise<Outcome> {
  return forEachModel(operands, context, async (model) => {
    const info = await inspect(await sourceOf(model, context), runOptions(context));
    let numWeights = 0;
    for (const { isWeight } of tensorsOf<TensorInfo>(info)) if (isWeight) numWeights++;
    const { format, inputBytes } = info;
    return {
      text: formatModelInfo(info, textOptions(values)),
      line: `${format}, ${formatBytes(inputBytes)}, ${plural(numWeights, "weight")}`,
      json: info,
      inputBytes,
    };
  });
}

/** Gives the number of --max-growth; undefined where it is not given. */
export function growthFrom({ "max-growth": text }: OptionValues): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (value >= 1) return value;
  throw new UsageError(`--max-growth is "${text}"; it must be a number from 1.`);
}

/** Tells whether a recipe does anything with what is known of the layers' inputs. */
async function asksForSamples(recipe: Recipe): Promise<boolean> {
  const { gptq, target, weightsTarget, prune, rules } = await checkRecipe(recipe);
  const hasTarget = [target, weightsTarget, ...rules.map((rule) => rule.target)].some((it) => it);
  const prunings = [prune, ...rules.map((rule) => rule.prune)];
  return gptq !== undefined || hasTarget || prunings.some((it) => it && usesSamples(it));
}

/** The moments of the layers' inputs, with --inputs and a recipe that asks for them; nothing otherwise. */
export async function calibrationFor(
  recipe: Recipe,
  { command, values }: Invocation,
  source: Source,
  context: Context,
) {
  if (values.inputs === undefined) {
    refuseWithoutInputs(values);
    return {};
  }
  if (!(await asksForSamples(recipe))) {
    if (values["min-cosine"] === undefined) {
      context.print("The recipe needs no samples: --inputs is not read.");
    }
    return {};
  }
  const reading = readingOf(context);
  const runtime = await runtimeFor(values, command.name, source, reading);
  return { calibration: await calibrate(source, { ...runtime, ...reading }) };
}

/** Plans one model; `where` is the place that shrink would write to, if it is known. */
export async function planModel(
  model: string,
  recipe: Recipe,
  invocation: Invocation,
  context: Context,
  where?: string,
): Promise<ModelOutcome> {
  const source = await sourceOf(model, context);
  const calibrated = await calibrationFor(recipe, invocation, source, context);
  const maxGrowth = growthFrom(invocation.values);
  const running = { ...runOptions(context), maxGrowth };
  const survey = invocation.values.survey === true;
  const planned = await plan(source, recipe, { ...running, ...calibrated, survey });
  const { inputBytes, outputBytes, warnings = [] } = planned;
  if (where !== undefined && planned.isIdle) {
    const text = ["Nothing would be written.", ...warnings.map((it) => visible(it))].join(" ");
    return { text, line: text, json: planned, inputBytes, outputBytes, isIdle: true };
  }
  const note = where === undefined ? "" : `would be written to ${visible(where)}`;
  return {
    text:
      formatPlan(planned, textOptions(invocation.values)) +
      (note ? `\n\nNothing is written; it ${note}` : ""),
    line: sizesText({ inputBytes, outputBytes }) + (note ? `, ${note}` : ""),
    json: where === undefined ? planned : joined({ output: where }, planned),
    ...{ inputBytes, outputBytes },
  };
}

export async function runPlan(invocation: Invocation, context: Context): Promise<Outcome> {
  const recipe = await recipeFrom(invocation.values);
  return forEachModel(invocation.operands, context, (model) =>
    planModel(model, recipe, invocation, context),
  );
}

export async function runCompare(
  { operands: [a = "", b = ""], values }: Invocation,
  context: Context,
): Promise<Outcome> {
  const [original, other] = [await sourceOf(a, context), await sourceOf(b, context)];
  const report = await compareModels(original, other, runOptions(context));
  const tensors = tensorsOf<ReportedTensor>(report);
  if (tensors.length > 0 && !someRow(tensors, ({ sqnr }) => sqnr !== undefined)) {
    throw new ModelShrinkError(
      `The models have no tensor in common that could be compared: "${a}" has ` +
        `${tensors.length} of its own.`,
      "argument",
    );
  }
  const hint = verifyHint(a, b, report);
  return {
    text: [
      formatReport(report, textOptions(values)),
      ...(hint.length > 0 ? ["", ...hint] : []),
    ].join("\n"),
    json: report,
  };
}

export async function runVerify(
  { command, operands: [a = "", b = ""], values }: Invocation,
  context: Context,
): Promise<Outcome> {
  const reading = readingOf(context);
  const [original, other] = [await sourceOf(a, context), await sourceOf(b, context)];
  const runtime = await runtimeFor(values, command.name, original, reading);
  const found = await verify(original, other, { ...runtime, ...reading });
  return { text: formatVerification(found), json: found };
}
